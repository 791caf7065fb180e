// Lets in whoever is logged in. A login session that ends is begun anew above the page, which stays as it is.
import { Button, Content, Modal, ModalBody, ModalFooter, ModalHeader, Spinner } from '@patternfly/react-core';
import { useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useEffect, useRef, useState } from 'react';

import { ApiError, call, setToken, whenLoggedOut } from '../api/client';
import { documentQuery } from '../api/document';
import { listen, useLive } from '../api/live';
import { forget, useUser } from '../api/queries';
import { texts } from '../texts';
import { LoginForm } from './Login';
import { SetupForm, useSetup } from './Setup';
import { useSeconds } from '../display/useSeconds';

const WARN_SECONDS = 60;

export function Gate({ children }: { children: ReactNode }) {
  const cache = useQueryClient();
  const user = useUser();
  const live = useLive();
  const [isOver, setOver] = useState(false);
  const wasIn = useRef(false);
  const token = user.data?.body.token;
  const name = user.data?.body.name;
  const owner = useRef('');

  useEffect(() => {
    if (!token) return;
    setToken(token);
    wasIn.current = true;
    setOver(false);
    listen();
    // Most pages are made from it.
    void cache.prefetchQuery(documentQuery);
  }, [token, cache]);
  useEffect(() => {
    // What is on the page, and what was typed into it, is the account's that was here before.
    if (name && owner.current && name !== owner.current) location.assign('/console/');
    else if (name) owner.current = name;
  }, [name]);
  useEffect(() => whenLoggedOut(() => wasIn.current && setOver(true)), []);
  useEffect(() => {
    if (live.link === 'over' && wasIn.current) setOver(true);
    if (live.link === 'open') setOver(false);
  }, [live.link, live.at]);
  useEffect(() => {
    // Somebody has logged in again in another tab: who is it, and what is the token now?
    if (live.link === 'open' && wasIn.current) void cache.refetchQueries({ queryKey: ['user'] });
  }, [live.link, cache]);

  const setup = useSetup(user.isError && !user.data);

  async function enter() {
    await cache.refetchQueries({ queryKey: ['user'] });
    setOver(false);
    listen();
    await forget(cache);
  }

  if (user.isPending) {
    return (
      <main className="narrow">
        <Spinner aria-label={texts.waiting} />
      </main>
    );
  }
  if (!user.data) {
    if (setup.data?.status === 'uninitialized') {
      return (
        <main className="narrow first">
          <SetupForm onDone={() => void setup.refetch()} />
        </main>
      );
    }
    const unreachable = user.error instanceof ApiError && user.error.status !== 401;
    return (
      <main className="narrow">
        <Content component="h1">{texts.product}</Content>
        {unreachable ? <Content component="p">{user.error?.message}</Content> : null}
        <LoginForm onDone={() => void enter()} />
      </main>
    );
  }
  return (
    <>
      {children}
      <IdleWarning isHidden={isOver} />
      <Modal isOpen={isOver} variant="small" aria-labelledby="again" onClose={undefined} disableFocusTrap={false}>
        <ModalHeader title={texts.login.again} labelId="again" description={texts.login.againText} />
        <ModalBody>
          <LoginForm onDone={() => void enter()} name={user.data.body.name} />
        </ModalBody>
      </Modal>
    </>
  );
}

function IdleWarning({ isHidden }: { isHidden: boolean }) {
  const live = useLive();
  const left = useSeconds(live.state?.login ?? null, live.at);
  const isSoon = left !== null && left > 0 && left <= WARN_SECONDS && live.link === 'open' && !isHidden;
  return (
    <Modal isOpen={isSoon} variant="small" aria-labelledby="soon">
      <ModalHeader title={texts.login.soon} labelId="soon" />
      <ModalBody>{texts.login.soonText(left ?? 0)}</ModalBody>
      <ModalFooter>
        <Button onClick={() => void call('GET', '/api/authentication')}>{texts.login.stay}</Button>
      </ModalFooter>
    </Modal>
  );
}
