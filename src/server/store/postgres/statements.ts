import { readStatements, sqlDir } from "../statements.ts";

export interface Statement {
  name: string;
  text: string;
  /** The names of `$1`, `$2` and so on. */
  params: string[];
}

/** The statements of the `.sql` files, whose `:name` parameters PostgreSQL knows by number only. */
export function loadStatements(): Map<string, Statement> {
  const statements = new Map<string, Statement>();
  for (const [name, sql] of readStatements(sqlDir("postgres"))) statements.set(name, numberParams(name, sql));
  return statements;
}

function numberParams(name: string, sql: string): Statement {
  const params: string[] = [];
  const text = sql.replaceAll(/(?<![:\w]):([a-z]\w*)/gi, (_, param: string) => {
    if (!params.includes(param)) params.push(param);
    return `$${params.indexOf(param) + 1}`;
  });
  return { name, text, params };
}
