import Link from "next/link";

import { Empty } from "@/ui/states";

export default function NotFound() {
  return (
    <>
      <Empty title="There is no such page">The address may be mistyped, or the page has moved.</Empty>
      <p className="text-center">
        <Link href="/" className="text-accent underline">
          To the overview
        </Link>
      </p>
    </>
  );
}
