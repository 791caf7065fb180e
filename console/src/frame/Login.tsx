// The login: alone on the page, or above it where a login session has ended while something was typed.
import { ActionGroup, Alert, Button, Form, FormGroup, TextInput } from '@patternfly/react-core';
import { useState } from 'react';

import { logIn } from '../api/client';
import { texts } from '../texts';

export function LoginForm({ onDone, name: known = '' }: { onDone: () => void; name?: string }) {
  const [name, setName] = useState(known);
  const [password, setPassword] = useState('');
  const [failed, setFailed] = useState('');
  const [isBusy, setBusy] = useState(false);

  async function submit() {
    setBusy(true);
    setFailed('');
    try {
      await logIn(name, password);
      setPassword('');
      onDone();
    } catch (error) {
      setFailed((error as Error).message);
    } finally {
      setBusy(false);
    }
  }

  return (
    <Form
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      {failed ? <Alert variant="danger" isInline component="h2" title={failed} /> : null}
      <FormGroup label={texts.login.name} fieldId="login-name" isRequired>
        <TextInput id="login-name" value={name} onChange={(_, value) => setName(value)} autoComplete="username" isRequired autoFocus={!known} />
      </FormGroup>
      <FormGroup label={texts.login.password} fieldId="login-password" isRequired>
        <TextInput
          id="login-password"
          type="password"
          value={password}
          onChange={(_, value) => setPassword(value)}
          autoComplete="current-password"
          isRequired
          autoFocus={!!known}
        />
      </FormGroup>
      <ActionGroup>
        <Button type="submit" variant="primary" isLoading={isBusy} isDisabled={isBusy || !name || !password}>
          {texts.login.submit}
        </Button>
      </ActionGroup>
    </Form>
  );
}
