/** The program of a replica: dials the server that started it, and becomes what it is told to be. */
import { connect } from "node:net";
import { dirname } from "node:path";
import { Replica } from "./replica.ts";

const { ATHANOR_REPLICA_ADDRESS: address, ATHANOR_REPLICA_TOKEN: token } = process.env;
for (const name of Object.keys(process.env)) if (name.startsWith("ATHANOR_")) delete process.env[name];

if (!address || !token) {
  console.error("This program is started by an Athanor server; it does nothing on its own.");
  process.exit(2);
}
new Replica(connect(address), { token, pid: process.pid }, dirname(address));
