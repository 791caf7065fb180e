// Another object, made above the form that wants to refer to it: nothing of that form is lost.
import { Modal, ModalBody, ModalHeader } from '@patternfly/react-core';
import { useId } from 'react';

import type { ApiDocument, Endpoint } from '../../api/document';
import { texts } from '../../texts';
import { BodyForm } from './BodyForm';

interface Props {
  document: ApiDocument;
  endpoint: Endpoint;
  onMade: (key: string) => void;
  onCancel: () => void;
}

export function MakeObject({ document, endpoint, onMade, onCancel }: Props) {
  const id = useId();
  return (
    <Modal isOpen variant="medium" aria-labelledby={id} onClose={onCancel}>
      <ModalHeader title={texts.settings.add(endpoint.title)} labelId={id} />
      <ModalBody>
        <BodyForm document={document} endpoint={endpoint} path={endpoint.path} method="POST" prefix="made" onDone={onMade} onCancel={onCancel} />
      </ModalBody>
    </Modal>
  );
}
