import type { Metadata } from "next";

import { Topology } from "./topology";

export const metadata: Metadata = { title: "Topology" };

export default function Page() {
  return <Topology />;
}
