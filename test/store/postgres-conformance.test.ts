import { describe } from "node:test";
import { postgresMissing } from "../harness/postgres.ts";
import { storeConformance } from "./conformance.ts";
import { PostgresForFile } from "./temp-postgres.ts";

describe("on PostgreSQL", { skip: postgresMissing() }, () => {
  const postgres = new PostgresForFile();
  storeConformance("PostgreSQL", postgres.openEmpty);
});
