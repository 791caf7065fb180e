// The head of every page of a setting: its title, where it comes from, which right it needs, its manual.
import { Content, ExpandableSection, Label } from '@patternfly/react-core';

import { Link } from '@tanstack/react-router';

import { type ApiDocument, type Endpoint, aboutEndpoint, objectTitle } from '../../api/document';
import { texts } from '../../texts';

export function About({ document, endpoint, name, path }: { document: ApiDocument; endpoint: Endpoint; name?: string; path?: string }) {
  return (
    <>
      <Content component="h2">{name ? `${endpoint.title}: ${name}` : endpoint.title}</Content>
      <div className="row">
        <Label isCompact>{texts.settings.scopes[endpoint.scope]}</Label>
        {endpoint.privilege ? <Label isCompact>{texts.settings.needs(objectTitle(document, endpoint.privilege))}</Label> : null}
        <Link to="/history" search={{ path: path ?? endpoint.path }}>
          {texts.history.who}
        </Link>
      </div>
      <ExpandableSection toggleText={texts.settings.help}>
        <div className="about">{aboutEndpoint(document, endpoint)}</div>
      </ExpandableSection>
    </>
  );
}
