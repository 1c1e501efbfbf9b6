// What the drivers on Node have in common; see driving.py, which does the same.

import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

export function said(error) {
  const words = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return error?.cause ? `${words} (${said(error.cause)})` : words;
}

// Do the job that the command line names, and write the report, whatever happens.
export async function run(drive) {
  const data = JSON.parse(readFileSync(process.argv[2], "utf8"));
  const job = { ...data, http: data.transport === "http", done: { tools: [], steps: [], error: null } };
  const report = () => writeFileSync(data.report, JSON.stringify(job.done, null, 2));
  const late = setTimeout(() => {
    job.done.error ??= `no end within ${data.patience} s`;
    report();
    process.exit(1);
  }, data.patience * 1000);
  try {
    await drive(job);
  } catch (error) {
    job.done.error = said(error);
    console.error(error);
  }
  clearTimeout(late);
  report();
  process.exit(0);
}

// Take the steps of the script one after another, for clients that have no model.
export async function walk(job, call, read) {
  const exported = {};
  for (const step of job.steps) {
    const taken = { step: step.step, text: null, is_error: false, raised: null };
    job.done.steps.push(taken);
    try {
      if (step.resource_of) {
        taken.text = await read(exported[step.resource_of]);
        continue;
      }
      const { structured, ...result } = await call(step.tool, step.arguments);
      Object.assign(taken, result);
      const place = structured?.path ?? (structured?.url && new URL(structured.url).pathname);
      if (place) exported[step.step] = `fenqun://exports/${encodeURIComponent(basename(place))}`;
    } catch (error) {
      taken.raised = said(error);
    }
  }
}

export const text = (content) => content.map((block) => block.text ?? JSON.stringify(block)).join("\n");
