// Seals of a trail: what each claims, whether it was signed (RFC 5652, detached) and time-stamped (RFC 3161) by whom the reader trusts.
import { OctetString, fromBER } from 'asn1js';
import { Certificate, CertificateChainValidationEngine, ContentInfo, ExtKeyUsage, SignedData, TSTInfo } from 'pkijs';

import { type Bytes, type Frame, TrailDamagedError } from './frames';
import { bytesOf } from './keys';

const SIGNED_DATA = '1.2.840.113549.1.7.2';
const TIME_STAMP = '1.2.840.113549.1.9.16.1.4';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const TIME_STAMPING = '1.3.6.1.5.5.7.3.8';
const MAX_CERTIFICATES = 64;

export interface Seal {
  frame: number;
  chain: string;
  /** When the signer says that it was, RFC 3339. */
  at: string;
  /** DER; null where there is none. */
  signature: Bytes | null;
  stamp: Bytes | null;
}
/** A seal that was looked at; null: there was nothing to check it with. */
export interface CheckedSeal {
  frame: number;
  at: string;
  holds: boolean | null;
  stamped: boolean | null;
}
/** Whom the reader trusts: with signatures, and with time stamps. */
export interface Trusted {
  signers: Certificate[];
  authorities: Certificate[];
}

/** Certificates that can not be read. */
export class CertificateRefusedError extends Error {}

/** Read certificates in PEM. Throws CertificateRefusedError where a text has none. */
export function certificates(text: string): Certificate[] {
  if (!text.trim()) return [];
  const blocks = [...text.matchAll(/-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----/g)];
  if (!blocks.length || blocks.length > MAX_CERTIFICATES) throw new CertificateRefusedError();
  try {
    return blocks.map(([, base64]) => Certificate.fromBER(bytesOf((base64 ?? '').replaceAll(/\s/g, ''))));
  } catch {
    throw new CertificateRefusedError();
  }
}

/** The seal that a clear frame is; null where it is something else. Throws TrailDamagedError. */
export function sealOf(frame: Frame): Seal | null {
  let note: Record<string, unknown>;
  try {
    note = JSON.parse(new TextDecoder().decode(frame.payload)) as Record<string, unknown>;
  } catch {
    throw new TrailDamagedError('a record is no JSON', frame.number);
  }
  const { kind, frame: number, chain, at, signature, stamp } = note;
  if ((kind !== 'seal' && kind !== 'stamp') || typeof number !== 'number' || typeof chain !== 'string' || typeof at !== 'string') return null;
  try {
    const signed = kind === 'seal' ? bytesOf(String(signature)) : null;
    return { frame: number, chain, at, signature: signed, stamp: stamp !== undefined || kind === 'stamp' ? bytesOf(String(stamp)) : null };
  } catch {
    return null;
  }
}

/** What is signed: canonical JSON. */
const claim = ({ at, chain, frame }: Seal) => new TextEncoder().encode(JSON.stringify({ at, chain, frame })) as Bytes;

function signedData(der: Bytes): SignedData {
  const content = ContentInfo.fromBER(der);
  if (content.contentType !== SIGNED_DATA) throw new Error('no signed data');
  return new SignedData({ schema: content.content });
}

const hasSameKey = (one: Certificate, other: Certificate) => one.serialNumber.isEqual(other.serialNumber) && one.issuer.isEqual(other.issuer);

/** Whether a seal was signed with the key of one of some certificates. */
async function isSigned(seal: Seal, signature: Bytes, signers: Certificate[]): Promise<boolean> {
  for (const signer of signers) {
    try {
      const signed = signedData(signature);
      // What came along counts for nothing, since whoever changed the trail could have put it there: certificates, and a content
      // of its own, which would be looked at in place of the claim.
      if (signed.encapContentInfo.eContent) return false;
      signed.certificates = [signer];
      if (signed.signerInfos.length === 1 && (await signed.verify({ signer: 0, data: claim(seal).buffer }))) return true;
    } catch {
      // It is by somebody else, or by nobody.
    }
  }
  return false;
}

/** Whether the stamp of a seal is over it, by an authority that leads to one of some certificates, as they were good at its time. */
async function isStamped(seal: Seal, stamp: Bytes, authorities: Certificate[]): Promise<boolean> {
  try {
    const token = signedData(stamp);
    if (token.encapContentInfo.eContentType !== TIME_STAMP || token.signerInfos.length !== 1) return false;
    const content = (token.encapContentInfo.eContent as OctetString).getValue();
    const info = new TSTInfo({ schema: fromBER(content).result });
    const sent = token.certificates?.filter((one) => one instanceof Certificate) ?? [];
    token.certificates = [...sent, ...authorities.filter((one) => !sent.some((other) => hasSameKey(one, other)))];
    // Says who signed, or throws.
    const told = await token.verify({ signer: 0, data: claim(seal).buffer, extendedMode: true });
    const signer = told.signerCertificate;
    if (!told.signatureVerified || !signer || !isForStamps(signer)) return false;
    const digest = { name: info.messageImprint.hashAlgorithm.algorithmId };
    if (digest.name !== SHA256 || !isEqual(await sha256(claim(seal)), new Uint8Array(info.messageImprint.hashedMessage.getValue()))) return false;
    const at = new Date(seal.at);
    if (Number.isNaN(at.getTime())) return false;
    if (authorities.some((one) => isEqual(one.tbsView, signer.tbsView))) return signer.notBefore.value <= at && at <= signer.notAfter.value;
    const between = sent.filter((one) => !isEqual(one.tbsView, signer.tbsView));
    return (await new CertificateChainValidationEngine({ trustedCerts: authorities, certs: [...between, signer], checkDate: at }).verify()).result;
  } catch {
    return false;
  }
}

const SHA256 = '2.16.840.1.101.3.4.2.1';
const sha256 = async (bytes: Bytes) => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
const isEqual = (one: Uint8Array, other: Uint8Array) => one.length === other.length && one.every((byte, index) => byte === other[index]);

function isForStamps(certificate: Certificate): boolean {
  const found = certificate.extensions?.find((one) => one.extnID === EXTENDED_KEY_USAGE);
  return found?.parsedValue instanceof ExtKeyUsage && found.critical && found.parsedValue.keyPurposes.join() === TIME_STAMPING;
}

/** Look at seals. ``chains``: the chain after each frame. */
export async function checked(seals: Seal[], chains: string[], trusted: Trusted): Promise<CheckedSeal[]> {
  const found: CheckedSeal[] = [];
  for (const seal of seals) {
    const signed = seal.signature && trusted.signers.length ? await isSigned(seal, seal.signature, trusted.signers) : null;
    const stamped = seal.stamp && trusted.authorities.length ? await isStamped(seal, seal.stamp, trusted.authorities) : null;
    const tried = [signed, stamped].filter((one) => one !== null);
    const fits = chains[seal.frame - 1] === seal.chain;
    found.push({ frame: seal.frame, at: seal.at, holds: !fits || tried.includes(false) ? false : tried.length ? true : null, stamped });
  }
  return found;
}
