// The real program on a simulated service: 10,000 accounts in a Git repository, some of which the service refuses.
//
// In: the program. Out: manifests that can be edited and committed, and a daemon that can be killed and started again.

import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const ACCOUNTS = 10000;
const PER_FILE = 100;
const GIVEN = "amara lena jonas priya mateo yuki noor elif tomas ines kofi sara david maria omar julia".split(" ");
const FAMILY = "okafor meyer silva tanaka haddad novak rossi weber kim garcia owusu lindqvist moreau costa ito patel".split(" ");
const MANY = GIVEN.length * FAMILY.length;

export const id = (n) => String(2560636000000008000n + BigInt(n));
export const nameOf = (n) => `${GIVEN[n % 16]}-${FAMILY[Math.floor(n / 16) % 16]}${n < MANY ? "" : `-${Math.floor(n / MANY)}`}`;

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export const until = async (what, seen) => {
  for (const end = Date.now() + 120000; Date.now() < end; ) {
    const found = await seen();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`waited too long for ${what}`);
};

export class Scene {
  constructor(program) {
    this.program = program;
    this.folder = mkdtempSync(join(tmpdir(), "page-"));
    // Where people commit; what the daemon reads is a clone, which changes only as git changes it.
    this.state = join(this.folder, "office", "desired-state");
    mkdirSync(this.state, { recursive: true });
    this.accounts = Array.from({ length: ACCOUNTS }, (_, n) => ({ n, enabled: true, sync: n < 1000 ? true : undefined }));
    for (let file = 0; file < ACCOUNTS / PER_FILE; file++) this.write(file);
    this.git("office", "init", "-q", "-b", "main");
    this.commit("Mara Lindqvist", "Everybody, as of the move");
    this.git(".", "clone", "-q", "office", "live");
  }

  git(folder, ...words) {
    execFileSync("git", ["-C", join(this.folder, folder), ...words]);
  }

  commit(author, subject) {
    this.git("office", "add", "desired-state");
    const who = ["-c", `user.name=${author}`, "-c", `user.email=${author.split(" ")[0].toLowerCase()}@example.com`];
    this.git("office", ...who, "commit", "-q", "-m", subject);
  }

  manifest({ n, enabled, sync, more = "" }) {
    const name = nameOf(n);
    return `apiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetadata:\n  name: ${name}\nspec:\n  accountId: ${id(n)}\n` +
      `  zuid: ${1000000 + n}\n  email: ${name.replaceAll("-", ".")}@example.com\n  enabled: ${enabled}\n` +
      (sync === undefined ? "" : `  activeSyncEnabled: ${sync}\n`) + more;
  }

  path(file) {
    return join(this.state, `team-${String(file).padStart(3, "0")}.yaml`);
  }

  write(file) {
    const own = this.accounts.slice(file * PER_FILE, (file + 1) * PER_FILE).filter((account) => !account.gone);
    writeFileSync(this.path(file), own.map((account) => this.manifest(account)).join("---\n"));
  }

  // Changes accounts, and commits that.
  edit(author, subject, changes) {
    for (const [n, change] of changes) Object.assign(this.accounts[n], change);
    for (const file of new Set(changes.map(([n]) => Math.floor(n / PER_FILE)))) this.write(file);
    this.commit(author, subject);
    this.git("live", "pull", "-q");
  }

  async start(faults) {
    [this.port, this.servicePort] = [await freePort(), await freePort()];
    writeFileSync(join(this.folder, "faults.json"), JSON.stringify({ faults }));
    const limits = ["--request-limit", "unlimited", "--zoid", "12345678"];
    this.service = this.spawn("service", ["sandbox", "--listen", `127.0.0.1:${this.servicePort}`, ...limits,
      "--faults", join(this.folder, "faults.json"), "--log-level", "warn"]);
  }

  spawn(name, args) {
    const said = openSync(join(this.folder, `${name}.log`), "a");
    const service = `http://127.0.0.1:${this.servicePort}`;
    const env = {
      PATH: process.env.PATH, ZOHO_MAIL_ZOID: "12345678", ZOHO_MAIL_CLIENT_ID: "sandbox", ZOHO_MAIL_CLIENT_SECRET: "sandbox",
      ZOHO_MAIL_REFRESH_TOKEN: "sandbox", ZOHO_MAIL_API_URL: service, ZOHO_MAIL_ACCOUNTS_URL: service,
    };
    return spawn(this.program, args, { cwd: join(this.folder, "live"), env, stdio: ["ignore", said, said] });
  }

  // The daemon, always at the same address.
  async run(...options) {
    this.daemon = this.spawn("daemon", ["run", "--listen", `127.0.0.1:${this.port}`, "--debounce", "50ms", "--retry-min", "2s",
      "--log-format", "json", "--max-concurrency", "16", ...options]);
    await until("the daemon", () => this.ask("healthz").catch(() => null));
  }

  async ask(path) {
    const answer = await fetch(`${this.url}/${path}`);
    return answer.ok && answer.text();
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  async report() {
    return JSON.parse(await this.ask("status")).reconciler;
  }

  kill() {
    const gone = new Promise((resolve) => this.daemon.once("exit", resolve));
    this.daemon.kill("SIGKILL");
    return gone;
  }

  said() {
    return readFileSync(join(this.folder, "daemon.log"), "utf8").slice(-4000);
  }

  end() {
    for (const child of [this.daemon, this.service]) child?.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}
