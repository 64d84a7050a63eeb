import type { Metadata } from "next";

import { Bngs } from "./bngs";

export const metadata: Metadata = { title: "BNGs" };

export default function Page() {
  return <Bngs />;
}
