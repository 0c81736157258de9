import { GetObjectCommand, HeadObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { checkObjectKey } from "../../../engine/object-keys.ts";
import { clientDefaults } from "../../aws/client.ts";
import { calling } from "../../aws/errors.ts";

export interface SignedObject {
  key: string;
  method: "GET" | "HEAD";
  /** `Content-Type` and `Content-Disposition` of the answer. */
  headers: Readonly<Record<string, string>>;
}

export interface S3SignerOptions {
  bucket: string;
  /** How long an address is good, seconds; default 300. */
  validSeconds?: number;
  /** Default: one client with Longshore's own timeouts. */
  client?: S3Client;
}

/**
 * Makes addresses under which one object can be read for a while without credentials, with the rights of whoever signs: of a
 * function, not longer than its own credentials last. https://docs.aws.amazon.com/AmazonS3/latest/userguide/ShareObjectPreSignedURL.html
 * The function throws LongshoreError UNAVAILABLE or INTERNAL when there are no credentials to sign with.
 */
export function createS3Signer(options: S3SignerOptions): (object: SignedObject) => Promise<string> {
  const { bucket, validSeconds = 300 } = options;
  const client = options.client ?? new S3Client(clientDefaults("s3"));
  return async ({ key, method, headers }) => {
    checkObjectKey(key);
    const input = {
      Bucket: bucket,
      Key: key,
      ResponseContentType: headers["Content-Type"],
      ResponseContentDisposition: headers["Content-Disposition"],
      ResponseCacheControl: "private, no-cache",
    };
    const command = method === "GET" ? new GetObjectCommand(input) : new HeadObjectCommand(input);
    return await calling("signing an address", () => getSignedUrl(client, command, { expiresIn: validSeconds }));
  };
}
