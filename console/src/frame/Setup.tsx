// The first start: what the appliance has to know before anybody can log in.
import { ActionGroup, Alert, Button, Checkbox, Content, Form, FormGroup, FormHelperText, HelperText, HelperTextItem, TextInput } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { ApiError, call } from '../api/client';
import { Refusal } from '../forms/OrderForm';
import { texts } from '../texts';

const HREF = '/api/setup';

/** Whether nobody has set the appliance up yet; asked for once, before a login. */
export const useSetup = (enabled: boolean) =>
  useQuery({ queryKey: ['setup'], queryFn: () => call<{ status: string }>('GET', HREF), enabled, staleTime: Infinity });

interface Given {
  code: string;
  password: string;
  again: string;
  timezone: string;
  ntp: string;
  smtp: string;
  mail: string;
  hasNetwork: boolean;
  isAccepted: boolean;
  hostname: string;
  domainname: string;
  address: string;
  gateway: string;
  dns: string;
}
const NOTHING: Given = {
  code: '', password: '', again: '', timezone: Intl.DateTimeFormat().resolvedOptions().timeZone, ntp: '', smtp: '', mail: '', hasNetwork: false, isAccepted: false,
  hostname: '', domainname: '', address: '', gateway: '', dns: '',
};
/** Where each field stands in the body, for what the server says of it. */
const POINTERS: Record<Exclude<keyof Given, 'code' | 'again' | 'hasNetwork' | 'isAccepted'>, string> = {
  password: '/administration/admin_password',
  timezone: '/datetime/timezone',
  ntp: '/datetime/primary_ntp_server',
  smtp: '/email/smtp_server',
  mail: '/email/admin_email',
  hostname: '/network/hostname',
  domainname: '/network/domainname',
  address: '/network/initial_address',
  gateway: '/network/gateway',
  dns: '/network/primary_dns',
};

function bodyOf(given: Given) {
  return {
    accept_eula: given.isAccepted,
    administration: { admin_password: given.password },
    datetime: { timezone: given.timezone, primary_ntp_server: given.ntp || null },
    ...(given.smtp || given.mail ? { email: { smtp_server: given.smtp || null, admin_email: given.mail || null } } : {}),
    ...(given.hasNetwork
      ? {
          network: {
            hostname: given.hostname,
            domainname: given.domainname,
            initial_address: given.address,
            gateway: given.gateway || null,
            primary_dns: given.dns || null,
          },
        }
      : {}),
  };
}

export function SetupForm({ onDone }: { onDone: () => void }) {
  const [given, setGiven] = useState(NOTHING);
  const [error, setError] = useState<ApiError | null>(null);
  const [isBusy, setBusy] = useState(false);
  const isSame = given.password === given.again;
  async function send() {
    setBusy(true);
    setError(null);
    try {
      await call('POST', HREF, bodyOf(given), given.code.trim() ? { 'X-Setup-Code': given.code.trim() } : {});
      onDone();
    } catch (failure) {
      setError(failure as ApiError);
    } finally {
      setBusy(false);
    }
  }
  const field = (name: Exclude<keyof Given, 'hasNetwork' | 'isAccepted'>, type: 'password' | 'text' = 'text', isRequired = false) => {
    const pointer = name === 'code' || name === 'again' ? undefined : POINTERS[name];
    const wrong = error?.problems.filter((one) => one.pointer === pointer).map((one) => one.message) ?? [];
    if (name === 'again' && given.again && !isSame) wrong.push(texts.setup.differs);
    return (
      <FormGroup label={texts.setup.fields[name]} fieldId={`setup-${name}`} isRequired={isRequired}>
        <TextInput
          id={`setup-${name}`}
          type={type}
          value={given[name]}
          autoComplete={type === 'password' ? 'new-password' : 'off'}
          validated={wrong.length ? 'error' : 'default'}
          aria-describedby={`setup-${name}-help`}
          onChange={(_, value) => setGiven({ ...given, [name]: value })}
        />
        <FormHelperText>
          <HelperText id={`setup-${name}-help`}>
            {wrong.map((one) => (
              <HelperTextItem key={one} variant="error">
                {one}
              </HelperTextItem>
            ))}
            {texts.setup.helps[name] ? <HelperTextItem>{texts.setup.helps[name]}</HelperTextItem> : null}
          </HelperText>
        </FormHelperText>
      </FormGroup>
    );
  };
  return (
    <>
      <Content component="h1">{texts.setup.title}</Content>
      <Content component="p">{texts.setup.about}</Content>
      <Form
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        <Refusal error={error} />
        {field('code')}
        {field('password', 'password', true)}
        {field('again', 'password', true)}
        {field('timezone', 'text', true)}
        {field('ntp')}
        {field('smtp')}
        {field('mail')}
        <Checkbox id="setup-network" label={texts.setup.network} description={texts.setup.networkHelp} isChecked={given.hasNetwork} onChange={(_, hasNetwork) => setGiven({ ...given, hasNetwork })} />
        {given.hasNetwork ? (
          <>
            {field('hostname', 'text', true)}
            {field('domainname', 'text', true)}
            {field('address', 'text', true)}
            {field('gateway')}
            {field('dns')}
            {error?.status === 0 ? <Alert isInline variant="warning" component="h2" title={texts.setup.moved} /> : null}
          </>
        ) : null}
        <Checkbox id="setup-licence" label={texts.setup.licence} isChecked={given.isAccepted} isRequired onChange={(_, isAccepted) => setGiven({ ...given, isAccepted })} />
        <ActionGroup>
          <Button type="submit" variant="primary" isLoading={isBusy} isDisabled={isBusy || !given.isAccepted || !given.password || !isSame || !given.timezone}>
            {texts.setup.submit}
          </Button>
        </ActionGroup>
      </Form>
    </>
  );
}
