import type { CustomAtRules, Selector, Visitor } from 'lightningcss';
import { defineConfig } from 'vite';

/** Themes of the library that nothing here switches on. */
const UNUSED = /pf-v6-theme-(?:felt|glass|high-contrast|redhat)/;
const isUnused = (selector: Selector) => selector.some((one) => isTheme(one) || (one.type === 'pseudo-class' && one.kind === 'where' && one.selectors.every(isUnused)));
const isTheme = (one: Selector[number]) => one.type === 'class' && UNUSED.test(one.name);

/** What of the styles of the library is not sent: its fonts, which would double what a first visit loads, and themes. */
const visitor: Visitor<CustomAtRules> = {
  Rule: {
    'font-face': () => [],
    style: ({ value }) => (value.selectors.every(isUnused) ? [] : undefined),
  },
};

// What is the same in every change of ours stands in a chunk of its own, so that browsers, and the repository, keep it.
export default defineConfig({
  base: '/console/',
  logLevel: 'error',
  css: { transformer: 'lightningcss', lightningcss: { visitor } },
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
