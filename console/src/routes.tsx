// Which page stands at which path.
import { type RouteComponent, createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router';

import { Frame, Missing } from './frame/Frame';
import { Gate } from './frame/Gate';
import { Account } from './pages/Account';
import { Alerts } from './pages/Alerts';
import { Certificates } from './pages/Certificates';
import { Drift } from './pages/Drift';
import { History, type HistorySearch } from './pages/History';
import { Network } from './pages/Network';
import { Overview } from './pages/Overview';
import { Review } from './pages/Review';
import { Rights } from './pages/Rights';
import { Sessions } from './pages/Sessions';
import { Settings } from './pages/Settings';
import { searchOf, text } from './pages/sessions/search';
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
const at = <P extends string>(path: P, component: RouteComponent) => createRoute({ getParentRoute: () => root, path, component });

export const sessionsRoute = createRoute({
  getParentRoute: () => root,
  path: '/sessions',
  component: Sessions,
  validateSearch: searchOf,
});
const whole = (value: unknown) => (typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : undefined);
const history = createRoute({
  getParentRoute: () => root,
  path: '/history',
  component: History,
  validateSearch: (search: Record<string, unknown>): HistorySearch => ({ path: text(search.path), from: whole(search.from), to: whole(search.to) }),
});
// What is seldom looked at first, or large, is fetched when somebody goes there.
const backups = lazyRouteComponent(() => import('./pages/Backups'), 'Backups');
const cluster = lazyRouteComponent(() => import('./pages/Cluster'), 'Cluster');
const proposals = lazyRouteComponent(() => import('./pages/Proposals'), 'Proposals');
const oneProposal = lazyRouteComponent(() => import('./pages/proposals/OneProposal'), 'OneProposal');
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
    at('/network', Network),
    at('/backups', backups),
    at('/cluster', cluster),
    history,
    at('/review', Review),
    at('/proposals', proposals),
    at('/proposals/$id', oneProposal),
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
