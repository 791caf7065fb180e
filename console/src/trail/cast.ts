// What a terminal showed, as an asciicast (version 2), with what a viewer wants to jump to.
import type { Entry } from './records';

const REQUEST = 3;
const RESIZE = 4;
const OUTPUT = 5;
const ERROR_OUTPUT = 6;
const EVENT = 15;
const END = 18;
/** A pause that a viewer may want to skip. */
const IDLE_MS = 3_000;
/** Bytes of output that a browser plays well. */
const MAX_OUTPUT = 128 * 1024 * 1024;
const DEFAULT_SIZE: Size = [80, 24];

type Size = [columns: number, rows: number];

export interface Command {
  at: number;
  text: string;
}
export interface Shown {
  cast: string;
  /** Seconds. */
  duration: number;
  idle: [number, number][];
  commands: Command[];
}

export class TooLongError extends Error {}

function members(content: Uint8Array): Record<string, unknown> {
  try {
    const value = JSON.parse(new TextDecoder().decode(content)) as unknown;
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function sizeOf(told: Record<string, unknown>): Size | null {
  const { columns, rows } = told;
  const isSane = (one: unknown): one is number => Number.isInteger(one) && Number(one) > 0 && Number(one) <= 1000;
  return isSane(columns) && isSane(rows) ? [columns, rows] : null;
}

/** Collects what one channel shows: the one that is asked for, else the first that shows something. */
export class CastMaker {
  #channel: number | null;
  #size: Size | null = null;
  readonly #sizes = new Map<number, Size>();
  readonly #decoder = new TextDecoder();
  readonly #lines: string[] = [];
  readonly #commands: Command[] = [];
  readonly #idle: [number, number][] = [];
  #last = 0;
  #until = 0;
  #length = 0;
  ended = false;

  readonly #keeps: boolean;

  /** ``keeps``: whether what was shown is kept at all, or only looked through. */
  constructor(channel: number | null, keeps: boolean) {
    this.#channel = channel;
    this.#keeps = keeps;
  }

  take(entry: Entry): void {
    this.#until = Math.max(this.#until, entry.at);
    if (entry.kind === END) this.ended = true;
    if (!this.#keeps) return;
    if (entry.kind === OUTPUT || entry.kind === ERROR_OUTPUT) {
      this.#channel ??= entry.channel;
      if (entry.channel === this.#channel) this.#show(entry);
    } else if (entry.kind === RESIZE || entry.kind === REQUEST) {
      const size = sizeOf(members(entry.content));
      if (size) this.#resize(entry, size);
    } else if (entry.kind === EVENT) {
      const told = members(entry.content);
      if (told.event === 'command' && typeof told.command === 'string') this.#commands.push({ at: entry.at / 1000, text: told.command });
    }
  }

  #resize(entry: Entry, size: Size): void {
    const before = this.#sizes.get(entry.channel);
    this.#sizes.set(entry.channel, size);
    const isNew = before?.[0] !== size[0] || before[1] !== size[1];
    if (isNew && this.#size && entry.channel === this.#channel) this.#lines.push(JSON.stringify([entry.at / 1000, 'r', size.join('x')]));
  }

  #show(entry: Entry): void {
    this.#size ??= this.#sizes.get(entry.channel) ?? DEFAULT_SIZE;
    this.#length += entry.content.length;
    if (this.#length > MAX_OUTPUT) throw new TooLongError();
    if (entry.at - this.#last >= IDLE_MS) this.#idle.push([this.#last / 1000, entry.at / 1000]);
    this.#last = entry.at;
    const output = this.#decoder.decode(entry.content, { stream: true });
    // Lines of a program that had no terminal begin at the left all the same.
    const text = this.#sizes.has(entry.channel) ? output : output.replaceAll('\n', '\r\n');
    if (text) this.#lines.push(JSON.stringify([entry.at / 1000, 'o', text]));
  }

  made(): Shown {
    const [width, height] = this.#size ?? DEFAULT_SIZE;
    const until = this.#until / 1000;
    const lines = [JSON.stringify({ version: 2, width, height }), ...this.#lines, JSON.stringify([until, 'o', ''])];
    return { cast: lines.join('\n'), duration: until, idle: this.#idle, commands: this.#commands };
  }
}
