// The whole configuration as navigation, and the page of the endpoint or object that is chosen.
import { Content, Grid, GridItem, SearchInput, Stack, StackItem, TreeView, type TreeViewDataItem } from '@patternfly/react-core';
import { useNavigate, useParams } from '@tanstack/react-router';
import { useMemo, useState } from 'react';

import { type ApiDocument, type Endpoint, ROOT, childrenOf, endpointAt, isUseful, locate, useDocument } from '../api/document';
import { useUser } from '../api/queries';
import { type Rights, useRights } from '../api/rights';
import { Heading, Shown } from '../display/Shown';
import { texts } from '../texts';
import { BranchPage } from './settings/BranchPage';
import { CollectionPage } from './settings/CollectionPage';
import { EndpointPage } from './settings/EndpointPage';

export function Settings() {
  const document = useDocument();
  const params: { _splat?: string } = useParams({ strict: false });
  const path = params._splat ? `${ROOT}/${params._splat}` : ROOT;
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.settings}</Heading>
      <Shown of={document}>
        {(found) => (
          <Grid hasGutter>
            <GridItem span={12} lg={4} xl={3} order={{ default: path === ROOT ? '1' : '2', lg: '1' }}>
              <Tree document={found} path={path} />
            </GridItem>
            <GridItem span={12} lg={8} xl={9} order={{ default: path === ROOT ? '2' : '1', lg: '2' }}>
              <Chosen key={path} document={found} path={path} />
            </GridItem>
          </Grid>
        )}
      </Shown>
    </Stack>
  );
}

function items(document: ApiDocument, path: string, wanted: string, rights: Rights): TreeViewDataItem[] {
  return childrenOf(document, path)
    .filter((one) => isUseful(document, one) && (one.kind === 'branch' || rights.mayRead(one.privilege, one.path)))
    .map((one): TreeViewDataItem => {
      const below = one.kind === 'branch' ? items(document, one.path, wanted, rights) : [];
      return { id: one.path, name: one.title, ...(below.length ? { children: below } : {}) };
    })
    .filter((one) => one.children || endpointAt(document, String(one.id))?.kind !== 'branch')
    .filter((one) => !wanted || one.children || String(one.name).toLowerCase().includes(wanted));
}

function Tree({ document, path }: { document: ApiDocument; path: string }) {
  const navigate = useNavigate();
  const user = useUser();
  const rights = useRights();
  const [filter, setFilter] = useState('');
  const wanted = filter.trim().toLowerCase();
  const data = useMemo(() => {
    const open = (list: TreeViewDataItem[]): TreeViewDataItem[] =>
      list.map((one) => ({
        ...one,
        ...(one.children ? { children: open(one.children), defaultExpanded: !!wanted || path.startsWith(`${one.id}/`) } : {}),
      }));
    return open(items(document, ROOT, wanted, rights));
    // The rights are new objects each time; what they say changes with the account alone.
  }, [document, path, wanted, user.data]);
  const active = locate(document, path)?.endpoint.path;
  return (
    <Stack hasGutter>
      <StackItem>
        <SearchInput aria-label={texts.settings.filter} placeholder={texts.settings.filter} value={filter} onChange={(_, value) => setFilter(value)} onClear={() => setFilter('')} />
      </StackItem>
      <StackItem>
        {data.length ? (
          <TreeView
            key={wanted}
            aria-label={texts.pages.settings}
            data={data}
            activeItems={active ? [{ id: active, name: '' }] : []}
            onSelect={(_, item) => {
              if (!item.children) void navigate({ to: '/settings/$', params: { _splat: String(item.id).slice(ROOT.length + 1) } });
            }}
          />
        ) : (
          <Content component="p">{texts.settings.nothing}</Content>
        )}
      </StackItem>
    </Stack>
  );
}

function Chosen({ document, path }: { document: ApiDocument; path: string }) {
  const found = locate(document, path);
  if (!found) return <Content component="p">{texts.pages.unknown}</Content>;
  return page(found.endpoint, found.key);
}

function page(endpoint: Endpoint, key: string) {
  if (endpoint.kind === 'branch') return <BranchPage endpoint={endpoint} />;
  if (endpoint.kind === 'collection' && !key) return <CollectionPage endpoint={endpoint} />;
  return <EndpointPage endpoint={endpoint} objectKey={key} />;
}
