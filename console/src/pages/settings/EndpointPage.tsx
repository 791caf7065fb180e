// A setting, or one object of a collection.
import { Stack } from '@patternfly/react-core';
import { useNavigate } from '@tanstack/react-router';

import { type Endpoint, useDocument } from '../../api/document';
import { useNode } from '../../api/queries';
import { nameOf } from '../../forms/schema';
import { Shown } from '../../display/Shown';
import { About } from './About';
import { BodyForm } from './BodyForm';
import { MakeObject } from './MakeObject';
import { settingsPath } from '../../api/paths';

export function EndpointPage({ endpoint, objectKey }: { endpoint: Endpoint; objectKey: string }) {
  const navigate = useNavigate();
  const path = objectKey ? `${endpoint.path}/${objectKey}` : endpoint.path;
  const document = useDocument();
  const node = useNode(path);
  const leave = () => void navigate({ to: '/settings/$', params: { _splat: settingsPath(endpoint.path) } });
  return (
    <Shown of={document}>
      {(found) => (
        <Shown of={node}>
          {(answer) => (
            <Stack hasGutter>
              <About document={found} endpoint={endpoint} path={path} name={objectKey ? nameOf(answer.body) || objectKey : ''} />
              <BodyForm
                document={found}
                endpoint={endpoint}
                path={path}
                method="PUT"
                body={answer.body}
                making={MakeObject}
                {...(objectKey ? { onCancel: leave } : {})}
              />
            </Stack>
          )}
        </Shown>
      )}
    </Shown>
  );
}
