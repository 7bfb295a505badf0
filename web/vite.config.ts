import { defineConfig } from 'vite';

const gateway = process.env.LIVETAPE_GATEWAY ?? 'http://127.0.0.1:8765';

export default defineConfig({
  base: './',
  build: {
    outDir: '../src/livetape/gateway/static',
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rollupOptions: {
      output: {
        entryFileNames: 'assets/[name].[hash].js',
        chunkFileNames: 'assets/[name].[hash].js',
        assetFileNames: 'assets/[name].[hash][extname]',
      },
    },
  },
  server: { proxy: { '/v1': { target: gateway, ws: true } } },
});
