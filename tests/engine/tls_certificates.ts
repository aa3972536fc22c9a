/**
 * Certificates made on the spot, by openssl(1), for an engine behind TLS and
 * for its clients.
 */

import { must } from "../helpers/programs.ts";

/** A certificate and its key, as PEM. */
export interface Certificate {
  cert: string;
  key: string;
}

/** A certificate authority, in a folder of its own. */
export class Authority {
  /** Its own certificate, as PEM. */
  readonly cert: string;
  #dir: string;
  #serial = 1;

  private constructor(dir: string, cert: string) {
    this.#dir = dir;
    this.cert = cert;
  }

  /**
   * Makes an authority.
   *
   * @param dir a new folder for its files, of which `ca.pem` is its certificate
   */
  static async create(dir: string): Promise<Authority> {
    await Deno.mkdir(dir);
    await openssl(
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt"],
      ...["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
      ...["-subj", "/CN=Test authority", "-keyout", `${dir}/ca-key.pem`],
      ...["-out", `${dir}/ca.pem`],
    );
    // All that it signs for have one key: what counts here is names.
    await openssl(
      ...["genpkey", "-algorithm", "EC", "-pkeyopt"],
      ...["ec_paramgen_curve:prime256v1", "-out", `${dir}/key.pem`],
    );
    return new Authority(dir, await Deno.readTextFile(`${dir}/ca.pem`));
  }

  /**
   * Makes a certificate.
   *
   * @param subject of it, in openssl's notation: `/CN=name`, with a backslash
   *   before what is special to that
   * @param extensions lines of openssl's configuration, such as
   *   `subjectAltName=IP:127.0.0.1`
   */
  async sign(subject: string, extensions: string[]): Promise<Certificate> {
    const file = `${this.#dir}/${this.#serial++}`;
    await Deno.writeTextFile(`${file}.ext`, extensions.join("\n") + "\n");
    await openssl(
      ...["req", "-new", "-utf8", "-key", `${this.#dir}/key.pem`],
      ...["-subj", subject, "-out", `${file}.csr`],
    );
    await openssl(
      ...["x509", "-req", "-in", `${file}.csr`, "-days", "2"],
      ...["-CA", `${this.#dir}/ca.pem`, "-CAkey", `${this.#dir}/ca-key.pem`],
      ...["-CAcreateserial", "-extfile", `${file}.ext`, "-out", `${file}.pem`],
    );
    return {
      cert: await Deno.readTextFile(`${file}.pem`),
      key: await Deno.readTextFile(`${this.#dir}/key.pem`),
    };
  }

  /** A certificate for clients. */
  client(subject: string, extensions: string[] = []): Promise<Certificate> {
    return this.sign(subject, ["extendedKeyUsage=clientAuth", ...extensions]);
  }

  /** A certificate for a server. */
  server(names: string): Promise<Certificate> {
    return this.sign("/CN=engine", [
      "extendedKeyUsage=serverAuth",
      `subjectAltName=${names}`,
    ]);
  }
}

/**
 * Writes a certificate as docker's `--cert-path` has it.
 *
 * @param dir a new folder for `cert.pem`, `key.pem` and `ca.pem`
 * @param certificate what is shown to the other side
 * @param ca what the other side's certificate is verified by
 */
export async function writeCertPath(
  dir: string,
  certificate: Certificate,
  ca: string,
): Promise<string> {
  await Deno.mkdir(dir);
  await Deno.writeTextFile(`${dir}/cert.pem`, certificate.cert);
  await Deno.writeTextFile(`${dir}/key.pem`, certificate.key);
  await Deno.writeTextFile(`${dir}/ca.pem`, ca);
  return dir;
}

/**
 * A certificate that nobody signed.
 *
 * @param dir where `cert.pem` and `key.pem` go
 * @param host whose it is
 */
export async function selfSigned(dir: string, host: string): Promise<void> {
  await openssl(
    ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"],
    ...["-subj", `/CN=${host}`, "-addext", `subjectAltName=DNS:${host}`],
    ...["-out", `${dir}/cert.pem`, "-keyout", `${dir}/key.pem`],
  );
}

async function openssl(...args: string[]): Promise<void> {
  await must(["openssl", ...args]);
}
