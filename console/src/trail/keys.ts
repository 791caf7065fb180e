// Opens the envelopes in the header of a trail (RFC 5083) with the private key of an auditor (PKCS#8). WebCrypto computes.
import { OctetString, type Sequence } from 'asn1js';
import { ContentInfo, EncryptedContentInfo, EnvelopedData, PKCS8ShroudedKeyBag, PrivateKeyInfo, RecipientInfo } from 'pkijs';

import { texts } from '../texts';
import { type Bytes, type KeyBlock, TrailDamagedError, joined } from './frames';

const AUTH_ENVELOPED = '1.2.840.113549.1.9.16.1.23';
const KEY_SIZE = 32;
/** Numbers that pkijs has for kinds of recipients: whose key transports, or agrees on, the content key. */
const TRANSPORTED = 1;
const AGREED = 2;

/** A private key that can not be used, or that does not open this; the message is for the reader. */
export class KeyRefusedError extends Error {}

export function bytesOf(base64: string): Bytes {
  return Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
}

/** Read a private key from a file. Throws KeyRefusedError. */
export async function privateKey(text: string, passphrase: string): Promise<PrivateKeyInfo> {
  const found = /-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----([^-]*)-----END/.exec(text);
  if (!found) throw new KeyRefusedError(texts.key.none);
  const kind = (found[1] ?? '').trim();
  if (kind !== '' && kind !== 'ENCRYPTED') throw new KeyRefusedError(texts.key.form);
  let der: Bytes;
  try {
    der = bytesOf((found[2] ?? '').replaceAll(/\s/g, ''));
    if (!kind) return PrivateKeyInfo.fromBER(der);
  } catch {
    throw new KeyRefusedError(texts.key.none);
  }
  if (!passphrase) throw new KeyRefusedError(texts.key.passphraseMissing);
  try {
    const bag = PKCS8ShroudedKeyBag.fromBER(der);
    // Its type does not say that it is kept and can be awaited.
    await (bag as unknown as { parseInternalValues: (given: { password: ArrayBuffer }) => Promise<void> }).parseInternalValues({
      password: new TextEncoder().encode(passphrase).buffer,
    });
    if (bag.parsedValue) return bag.parsedValue;
  } catch {
    // Said below.
  }
  throw new KeyRefusedError(texts.key.passphraseWrong);
}

/** An authenticated envelope as one of the older kind, which the library opens: the same but for where its tag stands. */
function enveloped(der: Bytes): EnvelopedData {
  const content = ContentInfo.fromBER(der);
  if (content.contentType !== AUTH_ENVELOPED) throw new TrailDamagedError('an envelope is of an unknown kind');
  const parts = (content.content as Sequence).valueBlock.value;
  const at = parts.findIndex((part) => part.idBlock.tagClass === 1 && part.idBlock.tagNumber === 17);
  const recipients = (parts[at] as Sequence).valueBlock.value.map((one) => new RecipientInfo({ schema: one }));
  const encrypted = new EncryptedContentInfo({ schema: parts[at + 1] });
  const tag = parts.at(-1) as OctetString;
  const parameters = encrypted.contentEncryptionAlgorithm.algorithmParams as Sequence;
  const iv = parameters.valueBlock.value[0] as OctetString;
  const sealed = joined(new Uint8Array(encrypted.getEncryptedContent()), tag.valueBlock.valueHexView);
  encrypted.contentEncryptionAlgorithm.algorithmParams = new OctetString({ valueHex: iv.valueBlock.valueHexView });
  encrypted.encryptedContent = new OctetString({ valueHex: sealed });
  return new EnvelopedData({ recipientInfos: recipients, encryptedContentInfo: encrypted });
}

async function opened(der: Bytes, key: PrivateKeyInfo): Promise<Bytes | null> {
  const pkcs8 = key.toSchema().toBER();
  const algorithm = key.privateKeyAlgorithm.algorithmParams as unknown;
  for (const index of enveloped(der).recipientInfos.keys()) {
    // Anew for each try: the library writes into what it opens.
    const envelope = enveloped(der);
    const recipient = envelope.recipientInfos[index];
    if (recipient?.variant !== TRANSPORTED && recipient?.variant !== AGREED) continue;
    if (recipient.variant === AGREED) {
      const agreed = recipient.value as { originator: { value: { algorithm?: { algorithmParams?: unknown } } }; ukm?: unknown };
      // The sender leaves the curve out; it is that of the key.
      if (agreed.originator.value.algorithm) agreed.originator.value.algorithm.algorithmParams = algorithm;
      // What is not there goes into the derivation as an empty text by the library, and as nothing at all by the standard (RFC 5753).
      agreed.ukm ??= '';
    }
    try {
      return new Uint8Array(await envelope.decrypt(index, { recipientPrivateKey: pkcs8 }));
    } catch {
      // It is for somebody else.
    }
  }
  return null;
}

/** Return a content key of the header; null where the private key does not open it. Throws TrailDamagedError. */
export async function contentKey(block: KeyBlock, key: PrivateKeyInfo | null): Promise<CryptoKey | null> {
  let raw: Bytes | null;
  try {
    if (block.clear !== undefined) raw = bytesOf(block.clear);
    else if (block.cms !== undefined) raw = key && (await opened(bytesOf(block.cms), key));
    else throw new TrailDamagedError('the header has no keys');
  } catch (error) {
    if (error instanceof TrailDamagedError) throw error;
    throw new TrailDamagedError('an envelope can not be read');
  }
  if (raw === null) return null;
  if (raw.length !== KEY_SIZE) throw new TrailDamagedError('a key in the header has the wrong length');
  return crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['decrypt']);
}

