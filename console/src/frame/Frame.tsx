// What stands around every page: who I am, which node, where to go.
import {
  Badge,
  Button,
  Label,
  Masthead,
  MastheadBrand,
  MastheadContent,
  MastheadMain,
  MastheadToggle,
  Nav,
  NavGroup,
  NavItem,
  Page,
  PageSection,
  PageSidebar,
  PageSidebarBody,
  PageToggleButton,
  SkipToContent,
} from '@patternfly/react-core';
import { useQueryClient } from '@tanstack/react-query';
import { Link, Outlet, useRouterState } from '@tanstack/react-router';
import { useEffect } from 'react';

import { call } from '../api/client';
import { useHealth, useInfo, useUser } from '../api/queries';
import { useRights } from '../api/rights';
import { useOpenProposals } from '../api/proposals';
import { Heading } from '../display/Shown';
import mark from '../mark.svg';
import { texts } from '../texts';
import { Bars } from './Bars';

const GROUPS = [
  [
    texts.groups.watch,
    [
      ['/', texts.pages.overview],
      ['/sessions', texts.pages.sessions],
      ['/alerts', texts.pages.alerts],
      ['/time', texts.pages.time],
      ['/network', texts.pages.network],
    ],
  ],
  [
    texts.groups.configure,
    [
      ['/settings', texts.pages.settings],
      ['/rights', texts.pages.rights],
      ['/certificates', texts.pages.certificates],
      ['/review', texts.pages.review],
      ['/proposals', texts.pages.proposals],
      ['/history', texts.pages.history],
    ],
  ],
  [
    texts.groups.operate,
    [
      ['/backups', texts.pages.backups],
      ['/cluster', texts.pages.cluster],
      ['/drift', texts.pages.drift],
      ['/support', texts.pages.support],
      ['/account', texts.pages.account],
    ],
  ],
] as const;
/** The right without which there is nothing to see on a page. */
const NEEDED: Record<string, string> = {
  '/time': '/special/basic',
  '/network': '/special/basic',
  '/rights': '/special/auth',
  '/history': '/special/changelog',
  '/backups': '/special/backup',
  '/cluster': '/special/cluster',
  '/drift': '/special/basic',
};
const PAGES = GROUPS.flatMap(([, pages]) => [...pages]);

function Header() {
  const info = useInfo();
  const user = useUser();
  const cache = useQueryClient();
  const about = info.data?.body;
  return (
    <Masthead>
      <MastheadMain>
        <MastheadToggle>
          <PageToggleButton isHamburgerButton aria-label={texts.frame.menu} />
        </MastheadToggle>
        <MastheadBrand>
          <Link to="/" className="brand">
            <img src={mark} alt="" width="24" height="24" />
            <strong>{texts.product}</strong>
          </Link>
        </MastheadBrand>
      </MastheadMain>
      <MastheadContent>
        <div className="row me">
          <Health />
          <span className="node">{about ? texts.frame.node(about.nickname ?? about.hostname, (about.roles ?? []).join(', ')) : ''}</span>
          <Link to="/account">{user.data?.body.name}</Link>
          <Button
            variant="secondary"
            size="sm"
            onClick={() =>
              void call('DELETE', '/api/authentication').finally(() => {
                cache.clear();
                location.assign('/console/');
              })
            }
          >
            {texts.login.out}
          </Button>
        </div>
      </MastheadContent>
    </Masthead>
  );
}

/** How the node does, with a way to the reasons. */
function Health() {
  const { data } = useHealth();
  if (!data) return null;
  const { errors, warnings } = data.health_status.issues;
  const [status, told] = errors.length
    ? (['danger', texts.frame.health.errors(errors.length)] as const)
    : warnings.length
      ? (['warning', texts.frame.health.warnings(warnings.length)] as const)
      : (['success', texts.frame.health.ok] as const);
  return (
    <Link to="/" className="health">
      <Label isCompact status={status}>
        {told}
      </Label>
    </Link>
  );
}

function Sidebar() {
  const path = useRouterState({ select: (state) => state.location.pathname });
  const rights = useRights();
  const waiting = useOpenProposals().data?.items.length ?? 0;
  return (
    <PageSidebar>
      <PageSidebarBody>
        <Nav aria-label={texts.frame.navigation}>
          {GROUPS.map(([group, pages]) => (
            <NavGroup key={group} title={group}>
              {pages.filter(([to]) => rights.mayRead(NEEDED[to] ?? '')).map(([to, title]) => (
                <NavItem key={to} isActive={to === '/' ? path === '/' : path.startsWith(to)}>
                  <Link to={to}>
                    {title}
                    {to === '/proposals' && waiting ? (
                      <>
                        {' '}
                        <Badge isRead screenReaderText={texts.proposals.open}>
                          {waiting}
                        </Badge>
                      </>
                    ) : null}
                  </Link>
                </NavItem>
              ))}
            </NavGroup>
          ))}
        </Nav>
      </PageSidebarBody>
    </PageSidebar>
  );
}

export function Frame() {
  const path = useRouterState({ select: (state) => state.location.pathname });
  const page = PAGES.find(([to]) => (to === '/' ? path === '/' : path.startsWith(to)))?.[1] ?? '';
  useEffect(() => {
    document.title = page ? `${page} – ${texts.product}` : texts.product;
  }, [page]);
  return (
    <Page
      masthead={<Header />}
      sidebar={<Sidebar />}
      isManagedSidebar
      mainContainerId="content"
      skipToContent={<SkipToContent href="#content">{texts.frame.skip}</SkipToContent>}
    >
      <Bars />
      <PageSection isFilled>
        <Outlet />
      </PageSection>
    </Page>
  );
}

export function Missing() {
  return (
    <>
      <Heading>{texts.pages.unknown}</Heading>
      <Link to="/">{texts.pages.overview}</Link>
    </>
  );
}
