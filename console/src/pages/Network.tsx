// The network of this node: its names, its interfaces with their addresses and what uses them, its routes.
import { Card, CardBody, CardTitle, Stack } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';

import { type ApiDocument, ROOT, childrenOf, useDocument } from '../api/document';
import { type Json, isMembers } from '../api/json';
import { settingsPath } from '../api/paths';
import { useNode } from '../api/queries';
import { type Use, useUses } from '../api/uses';
import { Facts } from '../display/Facts';
import { Rows } from '../display/Rows';
import { Heading, Shown } from '../display/Shown';
import { ORDER, nameOf } from '../forms/schema';
import { texts } from '../texts';

const NETWORK = `${ROOT}/network`;
const NICS = `${NETWORK}/nics`;

interface Line {
  key: string;
  interface: string;
  vlan: string;
  address: string;
}

export function Network() {
  const document = useDocument();
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.network}</Heading>
      <Naming />
      <Shown of={document}>{(found) => <Devices document={found} />}</Shown>
      <Routes />
    </Stack>
  );
}

const Change = ({ path, children }: { path: string; children: ReactNode }) => (
  <Link to="/settings/$" params={{ _splat: settingsPath(path) }}>
    {children}
  </Link>
);

const textOf = (body: Json | undefined, member: string) => (isMembers(body) && typeof body[member] === 'string' && body[member]) || texts.rights.nothing;

const serversOf = (body: Json | undefined) => (isMembers(body) ? [body.primary, body.secondary].filter((one) => typeof one === 'string').join(', ') : '');

/** What the node is called, and whom it asks for the names of others. */
function Naming() {
  const naming = useNode(`${NETWORK}/naming`);
  const dns = useNode(`${NETWORK}/dns`);
  return (
    <Card>
      <CardTitle component="h2">{texts.network.names}</CardTitle>
      <CardBody>
        <Shown of={naming}>
          {({ body }) => (
            <Facts
              rows={[
                [texts.network.host, textOf(body, 'hostname')],
                [texts.network.domain, textOf(body, 'domainname')],
                [texts.network.nickname, textOf(body, 'nickname')],
                [texts.network.dns, serversOf(dns.data?.body) || texts.rights.nothing],
              ]}
            />
          )}
        </Shown>
        <div className="row">
          <Change path={`${NETWORK}/naming`}>{texts.network.changeNames}</Change>
          <Change path={`${NETWORK}/dns`}>{texts.network.changeDns}</Change>
        </div>
      </CardBody>
    </Card>
  );
}

function Devices({ document }: { document: ApiDocument }) {
  const { uses } = useUses(document, NICS);
  return childrenOf(document, NICS).map(({ path, title }) => <Device key={path} path={path} title={title} uses={uses} />);
}

/** The entries of an ordered map with their ids. */
function entriesOf(value: Json | undefined): [string, Json][] {
  if (!isMembers(value)) return [];
  return Object.entries(value).filter(([id]) => id !== ORDER);
}

/** The addresses of a device, each under the key that settings refer to it by. */
export function linesOf(path: string, body: Json | undefined): Line[] {
  const name = path.slice(NICS.length + 1);
  return entriesOf(isMembers(body) ? body.interfaces : undefined).flatMap(([id, one]) => {
    const about = { interface: nameOf(one), vlan: isMembers(one) && one.vlantag ? String(one.vlantag) : texts.network.untagged };
    const addresses = entriesOf(isMembers(one) ? one.addresses : undefined);
    const keyOf = (address: string) => `${name}.interfaces.${id}.addresses.${address}`;
    if (!addresses.length) return [{ ...about, key: keyOf(''), address: texts.rights.nothing }];
    return addresses.map(([address, value]) => ({ ...about, key: keyOf(address), address: String(value) }));
  });
}

function Device({ path, title, uses }: { path: string; title: string; uses: Use[] }) {
  const device = useNode(path);
  return (
    <Card>
      <CardTitle component="h2">{title}</CardTitle>
      <CardBody>
        <Shown of={device}>
          {({ body }) => (
            <>
              <Rows
                label={title}
                rows={linesOf(path, body)}
                keyOf={(one) => one.key}
                empty={{ title: texts.network.none, text: texts.network.noneText }}
                columns={[
                  { title: texts.network.interface, cell: (one) => one.interface },
                  { title: texts.network.vlan, cell: (one) => one.vlan },
                  { title: texts.network.address, cell: (one) => one.address },
                  { title: texts.network.use, cell: (one) => <Using uses={uses.filter(({ key }) => key === one.key)} /> },
                ]}
              />
              <Change path={path}>{texts.network.change(title)}</Change>
            </>
          )}
        </Shown>
      </CardBody>
    </Card>
  );
}

function Using({ uses }: { uses: Use[] }) {
  if (!uses.length) return <>{texts.rights.nothing}</>;
  return uses.map((one) => (
    <div key={one.path + one.title}>
      <Change path={one.path}>{one.title}</Change>
    </div>
  ));
}

function Routes() {
  const path = `${NETWORK}/routing`;
  const routes = useNode(path);
  return (
    <Card>
      <CardTitle component="h2">{texts.network.routes}</CardTitle>
      <CardBody>
        <Shown of={routes}>
          {({ body }) => (
            <Rows
              label={texts.network.routes}
              rows={(Array.isArray(body) ? body : []).map((one, index) => ({ one, index }))}
              keyOf={({ index }) => String(index)}
              empty={{ title: texts.network.noRoute, text: texts.network.noRouteText }}
              columns={[
                { title: texts.network.to, cell: ({ one }) => textOf(one, 'target_network') },
                { title: texts.network.gateway, cell: ({ one }) => textOf(one, 'gateway') },
              ]}
            />
          )}
        </Shown>
        <Change path={path}>{texts.network.changeRoutes}</Change>
      </CardBody>
    </Card>
  );
}
