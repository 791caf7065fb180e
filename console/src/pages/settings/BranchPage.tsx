import { Content, List, ListItem } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';

import { type Endpoint, childrenOf, isUseful, useDocument } from '../../api/document';
import { Shown } from '../../frame/Shown';
import { settingsPath } from './paths';

export function BranchPage({ endpoint }: { endpoint: Endpoint }) {
  const document = useDocument();
  return (
    <Shown of={document}>
      {(found) => (
        <>
          <Content component="h2">{endpoint.title}</Content>
          <List>
            {childrenOf(found, endpoint.path)
              .filter((one) => isUseful(found, one))
              .map((one) => (
                <ListItem key={one.path}>
                  <Link to="/settings/$" params={{ _splat: settingsPath(one.path) }}>
                    {one.title}
                  </Link>
                </ListItem>
              ))}
          </List>
        </>
      )}
    </Shown>
  );
}
