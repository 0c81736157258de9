import { SPEC_LIMITS } from "./limits.ts";

// The grammar of https://pkg.go.dev/github.com/distribution/reference. Every repetition is anchored by a character
// that the one before it cannot take, so no input makes these backtrack for long; the length is checked first anyway.
const HOST =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])$/;
const COMPONENT = /^[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,128}$/;
const DIGEST_HEX = new Map([
  ["sha256", 64],
  ["sha384", 96],
  ["sha512", 128],
]);
const MAX_NAME = 255;
/** Characters of an image reference at most. */
export const MAX_REFERENCE = 600;

interface ImageParts {
  host: string | undefined;
  components: string[];
  tag: string | undefined;
  digest: string | undefined;
}

function split(reference: string): ImageParts {
  const at = reference.indexOf("@");
  const digest = at < 0 ? undefined : reference.slice(at + 1);
  const named = at < 0 ? reference : reference.slice(0, at);
  const lastSlash = named.lastIndexOf("/");
  const colon = named.indexOf(":", lastSlash + 1);
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  const components = (colon < 0 ? named : named.slice(0, colon)).split("/");
  const first = components[0] ?? "";
  const hasHost = components.length > 1 && (/[.:[]/.test(first) || first === "localhost");
  return { host: hasHost ? components.shift() : undefined, components, tag, digest };
}

function hostProblem(host: string): string | undefined {
  const port = /:(\d*)$/.exec(host);
  const name = port === null ? host : host.slice(0, port.index);
  if (!HOST.test(name)) return "the registry's host is malformed";
  if (port !== null && !(Number(port[1]) >= 1 && Number(port[1]) <= 65_535)) {
    return "the registry's port must be from 1 to 65535";
  }
  return undefined;
}

function digestProblem(digest: string): string | undefined {
  const message = "the digest must be an algorithm, a colon and its hexadecimal digits";
  if (!DIGEST.test(digest)) return message;
  const colon = digest.indexOf(":");
  const wanted = DIGEST_HEX.get(digest.slice(0, colon));
  return wanted !== undefined && digest.length - colon - 1 !== wanted ? message : undefined;
}

/**
 * What is wrong with an image reference (`[host[:port]/]path[:tag][@digest]`), as a sentence that never repeats the
 * reference, since somebody may have put credentials into it; undefined when it is well-formed.
 */
export function imageProblem(reference: string): string | undefined {
  if (reference === "") return "an image reference must not be empty";
  if (reference.length > MAX_REFERENCE) return `an image reference has at most ${MAX_REFERENCE} characters`;
  if (reference.includes("://")) return "an image reference has no scheme such as https://";
  const { host, components, tag, digest } = split(reference);
  const hostFault = host === undefined ? undefined : hostProblem(host);
  if (hostFault !== undefined) return hostFault;
  for (const component of components) {
    if (COMPONENT.test(component)) continue;
    if (COMPONENT.test(component.toLowerCase())) return "the repository's name must be lower case";
    return "the repository's name must be parts of [a-z0-9] with single . or _ or __ or - between them";
  }
  const path = components.join("/");
  if (path.length + (host === undefined ? 0 : host.length + 1) > MAX_NAME) {
    return `the repository's name has at most ${MAX_NAME} characters`;
  }
  if (/^[0-9a-f]{64}$/.test(path) && host === undefined) return "an image is named, not given by its bare id";
  if (tag !== undefined && !TAG.test(tag)) {
    return "the tag must be 1 to 128 characters of [A-Za-z0-9_.-] and begin with none of . and -";
  }
  return digest === undefined ? undefined : digestProblem(digest);
}

/** A job's name from its image: the last part of the path as a DNS label; `job` when nothing of it is left. */
export function nameFromImage(reference: string): string {
  const last = split(reference).components.at(-1) ?? "";
  const label = last
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, SPEC_LIMITS.nameLength)
    .replace(/^-+|-+$/g, "");
  return label === "" ? "job" : label;
}
