import type { Metadata } from "next";

import { Routers } from "./routers";

export const metadata: Metadata = { title: "Access routers" };

export default function Page() {
  return <Routers />;
}
