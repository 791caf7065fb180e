// The nodes of the cluster and how they do.
import { Alert, Label, Stack } from '@patternfly/react-core';
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';

import { ApiError } from '../api/client';
import { useAnswer } from '../api/queries';
import { Empty, Heading, Shown } from '../frame/Shown';
import { texts } from '../texts';

interface Node {
  key: string;
  fqdn?: string | null;
  status?: string;
  sync_status?: string;
  roles?: string[];
}

export function Cluster() {
  const status = useAnswer<{ items: Node[] }>('/api/cluster/status');
  const isAlone = status.error instanceof ApiError && status.error.status === 404;
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.cluster}</Heading>
      {isAlone ? (
        <Empty title={texts.cluster.alone} text={texts.cluster.aloneText} />
      ) : (
        <Shown of={status}>
          {({ items }) => (
            <Table variant="compact" aria-label={texts.cluster.nodes}>
              <Thead>
                <Tr>
                  <Th>{texts.cluster.nodes}</Th>
                  <Th>{texts.cluster.state}</Th>
                  <Th>{texts.cluster.sync}</Th>
                </Tr>
              </Thead>
              <Tbody>
                {items.map((one) => (
                  <Tr key={one.key}>
                    <Td dataLabel={texts.cluster.nodes}>{one.fqdn ?? one.key}</Td>
                    <Td dataLabel={texts.cluster.state}>
                      <Label color={one.status === 'ok' ? 'green' : 'orange'}>{one.status}</Label>
                    </Td>
                    <Td dataLabel={texts.cluster.sync}>{one.sync_status}</Td>
                  </Tr>
                ))}
              </Tbody>
            </Table>
          )}
        </Shown>
      )}
      {isAlone ? null : <Alert isInline isPlain variant="info" component="h2" title={texts.cluster.commands} />}
    </Stack>
  );
}
