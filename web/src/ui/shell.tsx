"use client";

import Link from "next/link";
import { usePathname } from "next/navigation";
import type { ReactNode } from "react";

import { useMe } from "@/api/queries";
import { dropToken } from "@/lib/token";
import { useTheme } from "./theme";

const PAGES: [path: string, name: string, icon: string][] = [
  ["/", "Overview", "M3 13h4l3-8 4 14 3-6h4"],
  ["/sessions/", "Sessions", "M4 6h16M4 12h16M4 18h10"],
  ["/history/", "History", "M12 7v5l3 2M21 12a9 9 0 1 1-3-6.7M21 4v4h-4"],
  ["/bngs/", "BNGs", "M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01"],
  ["/routers/", "Access routers", "M12 12v-8M12 12l-7 6M12 12l7 6M12 4h.01M5 18h.01M19 18h.01"],
  ["/topology/", "Topology", "M9 4h6v5H9zM3 16h6v4H3zM15 16h6v4h-6zM12 9v3M6 16v-4h12v4"],
  ["/policies/", "Policies", "M5 20V10M12 20V4M19 20v-7"],
  ["/events/", "Events", "M6 4v16M6 8h9M6 14h13"],
];

export function Logo() {
  return (
    <svg viewBox="0 0 32 32" className="size-7 shrink-0" aria-hidden>
      <rect width="32" height="32" rx="8" fill="#0f766e" />
      <path d="M7 21h6l3-10 3 10h6" fill="none" stroke="#fff" strokeWidth="2.6" strokeLinecap="round" strokeLinejoin="round" />
      <circle cx="16" cy="11" r="2.6" fill="#5eead4" />
    </svg>
  );
}

export function Shell({ children }: { children: ReactNode }) {
  return (
    <div className="flex h-dvh flex-col md:flex-row">
      <a href="#main" className="sr-only rounded bg-accent px-3 py-1.5 text-accent-ink focus:not-sr-only focus:absolute focus:z-50 focus:m-2">
        Skip to the content
      </a>
      <aside className="flex shrink-0 items-center gap-2 border-line bg-surface px-3 py-2 max-md:overflow-x-auto max-md:border-b md:w-52 md:flex-col md:items-stretch md:border-r md:py-4">
        <Link href="/" className="flex items-center gap-2.5 px-1.5 md:pb-4">
          <Logo />
          <span className="text-[1.05rem] font-semibold tracking-tight">Lastmile</span>
        </Link>
        <Navigation />
        <Account />
      </aside>
      <main id="main" className="flex min-h-0 min-w-0 grow flex-col overflow-auto px-5 py-4">
        {children}
      </main>
    </div>
  );
}

function Navigation() {
  const path = usePathname().replace(/\/?$/, "/");
  return (
    <nav aria-label="Pages" className="flex gap-0.5 md:flex-col">
      {PAGES.map(([href, name, icon]) => (
        <Link
          key={href}
          href={href}
          aria-current={path === href ? "page" : undefined}
          className="flex h-8 items-center gap-2.5 rounded-md px-2 text-sm whitespace-nowrap text-soft hover:bg-raised hover:text-ink aria-[current]:bg-accent-wash aria-[current]:font-medium aria-[current]:text-accent"
        >
          <svg viewBox="0 0 24 24" className="size-4 shrink-0" fill="none" stroke="currentColor" strokeWidth="1.8" strokeLinecap="round" strokeLinejoin="round" aria-hidden>
            <path d={icon} />
          </svg>
          {name}
        </Link>
      ))}
    </nav>
  );
}

function Account() {
  const me = useMe();
  const [theme, choose] = useTheme();
  const small = "h-7 rounded-md px-2 text-xs text-soft hover:bg-raised hover:text-ink";
  return (
    <div className="ml-auto md:mt-auto md:ml-0 md:border-t md:border-line md:pt-3">
      <p className="truncate px-2 pb-1 text-xs text-faint max-md:hidden" title={me.data?.name}>
        {me.data?.name.replace(/^system:serviceaccount:/, "") ?? "…"}
      </p>
      <div className="flex">
        <button type="button" className={small} onClick={() => choose(theme === "dark" ? "light" : "dark")}>
          {theme === "dark" ? "Light" : "Dark"} theme
        </button>
        <button type="button" className={`${small} md:ml-auto`} onClick={dropToken}>
          Sign out
        </button>
      </div>
    </div>
  );
}
