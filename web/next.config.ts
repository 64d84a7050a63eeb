import type { NextConfig } from "next";

const config: NextConfig = {
  output: "export",
  // `out/sessions/index.html`: any static file server finds it by the folder's name.
  trailingSlash: true,
  reactStrictMode: true,
  images: { unoptimized: true },
};

export default config;
