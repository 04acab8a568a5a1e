import assert from "node:assert/strict";
import { it } from "node:test";
import { Looking } from "./looking.ts";

it("looks once more for all who ask while a look is under way", async () => {
  const gates = [0, 1, 2].map(() => Promise.withResolvers<void>());
  let looks = 0;
  const looking = new Looking(() => gates[looks++]?.promise ?? Promise.resolve());
  const first = looking.now();
  assert.equal(looking.now(), first);
  void looking.now();
  assert.equal(looks, 1);
  gates[0]?.resolve();
  await first;
  assert.equal(looks, 2);
  gates[1]?.resolve();
  await looking.over();
  await looking.over();
  assert.equal(looks, 2, "nobody asked in between");
  const third = looking.now();
  gates[2]?.resolve();
  await third;
  assert.equal(looks, 3);
});
