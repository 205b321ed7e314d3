import { defineConfig } from "vite";

// The files have fixed names, so that a change of the page is a change of them and no more; and all
// addresses are relative, so that the page works below any path of a proxy.
export default defineConfig({
  base: "./",
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    target: "es2022",
    modulePreload: false,
    assetsDir: "",
    rollupOptions: {
      output: { entryFileNames: "console.js", assetFileNames: "console[extname]" },
    },
  },
});
