// Which page stands at which path.
import { createRootRoute, createRoute, createRouter } from '@tanstack/react-router';

import { Frame, Missing } from './frame/Frame';
import { Gate } from './frame/Gate';
import { Account } from './pages/Account';
import { Alerts } from './pages/Alerts';
import { Backups } from './pages/Backups';
import { Certificates } from './pages/Certificates';
import { Cluster } from './pages/Cluster';
import { Drift } from './pages/Drift';
import { History, type HistorySearch } from './pages/History';
import { Overview } from './pages/Overview';
import { Review } from './pages/Review';
import { Rights } from './pages/Rights';
import { Sessions, type SessionSearch } from './pages/Sessions';
import { Settings } from './pages/Settings';
import { Support } from './pages/Support';
import { Time } from './pages/Time';

const root = createRootRoute({
  component: () => (
    <Gate>
      <Frame />
    </Gate>
  ),
  notFoundComponent: Missing,
});
const text = (value: unknown) => (typeof value === 'string' && value ? value : typeof value === 'number' ? String(value) : undefined);
const at = <P extends string>(path: P, component: () => React.ReactNode) => createRoute({ getParentRoute: () => root, path, component });

export const sessionsRoute = createRoute({
  getParentRoute: () => root,
  path: '/sessions',
  component: Sessions,
  validateSearch: (search: Record<string, unknown>): SessionSearch => ({
    q: text(search.q),
    content: text(search.content),
    start: text(search.start),
    end: text(search.end),
    offset: typeof search.offset === 'number' ? search.offset : undefined,
  }),
});
const whole = (value: unknown) => (typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : undefined);
const history = createRoute({
  getParentRoute: () => root,
  path: '/history',
  component: History,
  validateSearch: (search: Record<string, unknown>): HistorySearch => ({ path: text(search.path), from: whole(search.from), to: whole(search.to) }),
});
const settings = createRoute({ getParentRoute: () => root, path: '/settings/$', component: Settings });

export const router = createRouter({
  basepath: '/console',
  routeTree: root.addChildren([
    at('/', Overview),
    sessionsRoute,
    at('/settings', Settings),
    settings,
    at('/rights', Rights),
    at('/time', Time),
    at('/backups', Backups),
    at('/cluster', Cluster),
    history,
    at('/review', Review),
    at('/alerts', Alerts),
    at('/certificates', Certificates),
    at('/drift', Drift),
    at('/support', Support),
    at('/account', Account),
  ]),
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
