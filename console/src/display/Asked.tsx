// A question before something that can not be taken back.
import { Button, Modal, ModalBody, ModalFooter, ModalHeader } from '@patternfly/react-core';
import { type ReactNode, useId } from 'react';

import { texts } from '../texts';

interface Props {
  isOpen: boolean;
  title: string;
  text: string;
  action: string;
  isBusy?: boolean;
  onYes: () => void;
  onNo: () => void;
  children?: ReactNode;
}

export function Asked({ isOpen, title, text, action, isBusy = false, onYes, onNo, children }: Props) {
  const id = useId();
  return (
    <Modal isOpen={isOpen} variant="small" aria-labelledby={id} onClose={onNo}>
      <ModalHeader title={title} labelId={id} />
      <ModalBody>
        {text}
        {children}
      </ModalBody>
      <ModalFooter>
        <Button variant="danger" isDisabled={isBusy} onClick={onYes}>
          {action}
        </Button>
        <Button variant="link" onClick={onNo}>
          {texts.settings.cancel}
        </Button>
      </ModalFooter>
    </Modal>
  );
}
