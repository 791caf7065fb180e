// A branch of the settings: what is below it, each with what it is about.
import { Card, CardBody, CardTitle, Content, Gallery, Stack } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';

import { type ApiDocument, type Endpoint, aboutEndpoint, childrenOf, isUseful, useDocument } from '../../api/document';
import { Shown } from '../../display/Shown';
import { settingsPath } from '../../api/paths';

export function BranchPage({ endpoint }: { endpoint: Endpoint }) {
  const document = useDocument();
  return (
    <Shown of={document}>
      {(found) => (
        <Stack hasGutter>
          <Content component="h2">{endpoint.title}</Content>
          <Gallery hasGutter minWidths={{ default: '15rem' }}>
            {childrenOf(found, endpoint.path)
              .filter((one) => isUseful(found, one))
              .map((one) => (
                <Card key={one.path} isCompact>
                  <CardTitle component="h3">
                    <Link to="/settings/$" params={{ _splat: settingsPath(one.path) }}>
                      {one.title}
                    </Link>
                  </CardTitle>
                  <CardBody>{summary(found, one)}</CardBody>
                </Card>
              ))}
          </Gallery>
        </Stack>
      )}
    </Shown>
  );
}

/** What is below a branch; what a setting is about, in its first sentence. */
function summary(document: ApiDocument, endpoint: Endpoint): string {
  const below = childrenOf(document, endpoint.path).filter((one) => isUseful(document, one));
  return below.length ? below.map((one) => one.title).join(', ') : (aboutEndpoint(document, endpoint).split('\n', 1)[0] ?? '').replace(/[:.]? ?`[^`]*`+\.?$/, '.');
}
