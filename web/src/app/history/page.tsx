import type { Metadata } from "next";

import { History } from "./history";

export const metadata: Metadata = { title: "History" };

export default function Page() {
  return <History />;
}
