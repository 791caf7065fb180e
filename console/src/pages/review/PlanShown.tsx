// What a commit would do: its problems and warnings with the way to their fields, and what happens on the node.
import { Alert, Label, List, ListItem, Stack, StackItem } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';

import { ROOT } from '../../api/document';
import type { PlanBody, Told } from '../../api/queries';
import { texts } from '../../texts';
import { settingsPath } from '../../api/paths';
import { Raw } from './Changes';

export function ToldList({ title, variant, told }: { title: string; variant: 'danger' | 'warning'; told: Told[] }) {
  if (!told.length) return null;
  return (
    <Alert isInline variant={variant} component="h3" title={title}>
      <List isPlain>
        {told.map((one) => (
          <ListItem key={one.path + one.pointer + one.code}>
            {one.message}{' '}
            {one.path.startsWith(`${ROOT}/`) ? (
              <Link to="/settings/$" params={{ _splat: settingsPath(one.path) }} hash={one.pointer}>
                {texts.review.jump}
              </Link>
            ) : null}
          </ListItem>
        ))}
      </List>
    </Alert>
  );
}

/** Who has to accept it is left out: that stands where it is committed. */
export function PlanShown({ body }: { body: PlanBody }) {
  return (
    <Stack hasGutter>
      <ToldList title={texts.review.problems} variant="danger" told={body.problems} />
      <ToldList title={texts.review.warnings} variant="warning" told={body.warnings.filter((one) => one.code !== 'approval_required')} />
      <StackItem>
        {body.actions.length ? (
          <List isPlain>
            {body.actions.map((one) => (
              <ListItem key={one.action + one.path}>
                {one.action}{' '}
                <Label isCompact color={one.effect === 'none' ? 'grey' : 'orange'}>
                  {texts.review.effects[one.effect] ?? one.effect}
                </Label>
              </ListItem>
            ))}
          </List>
        ) : body.problems.length ? null : (
          texts.review.noActions
        )}
      </StackItem>
      <Raw value={body} />
    </Stack>
  );
}
