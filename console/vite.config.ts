import { defineConfig, type Plugin } from 'vite';

/** The fonts of the system are used: those of the library would double what a first visit loads. */
const withoutFonts: Plugin = {
  name: 'without-fonts',
  enforce: 'pre',
  transform(code, id) {
    return id.endsWith('/react-core/dist/styles/base.css') ? code.replace(/@font-face\s*\{[^}]*\}/g, '') : undefined;
  },
};

// What is the same in every change of ours stands in a chunk of its own, so that browsers, and the repository, keep it.
export default defineConfig({
  base: '/console/',
  logLevel: 'error',
  plugins: [withoutFonts],
  build: {
    outDir: '../src/doorward/console',
    emptyOutDir: true,
    target: 'es2023',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1000,
    rolldownOptions: {
      onLog(level, log, tell) {
        // Directives of server components mean nothing here.
        if (log.code !== 'MODULE_LEVEL_DIRECTIVE') tell(level, log);
      },
      input: ['index.html', 'replay.html'],
      output: {
        codeSplitting: { groups: [{ name: 'vendor', test: /node_modules\/(?!asciinema-player)/ }] },
      },
    },
  },
  worker: { format: 'es' },
});
