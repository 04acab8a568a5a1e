// Reads the text on a picture of a page, as a queued job that reports how far it is.
//
//   npm ci && athanor deploy app.ts
//   curl http://127.0.0.1:7700/reader/read -F page=@page.png
//   athanor job watch jobs:1 --snapshot
//
// Recognition takes seconds of a whole core. So the endpoint is queued: a call is answered at once with 202 and the job,
// and one page at a time is read, however many are sent.

/// <reference path="./language-data.d.ts" />
import english from "@tesseract.js-data/eng";
import { App, type ImageFile, type JobProgress } from "athanor";
import { createWorker, OEM, type Worker } from "tesseract.js";

const app = new App("reader");

export interface Word {
  text: string;
  /** 0 to 100. */
  confidence: number;
  /** In pixels from the top left corner of the picture. */
  box: { left: number; top: number; right: number; bottom: number };
}

export interface Reading {
  text: string;
  /** 0 to 100, the mean over all words. */
  confidence: number;
  words: Word[];
}

/** The share of a job that recognition takes; loading the language comes before it. */
const LOADING_SHARE = 0.1;

// Loading the language takes half a second, so one recogniser serves all jobs of the replica. There is one job at a time
// (`maxWorkers`), whose progress it reports.
let recogniser: Promise<Worker> | null = null;
let current: JobProgress | null = null;

/**
 * Reads a printed page.
 *
 * @param page A picture of the page, the right way up.
 * @param language Only `eng` is installed; add `@tesseract.js-data/<language>` to read another.
 */
export const read = app.endpoint(
  "/read",
  { queue: { size: 50, maxWorkers: 1 }, timeoutS: 120, retries: 1, summary: "Read a page" },
  async (progress: JobProgress, page: ImageFile, language = "eng"): Promise<Reading> => {
    if (language !== english.code)
      throw new Error(`No data for the language ${language}: only ${english.code} is here`);
    progress.setStatus(0, "loading the language");
    current = progress;
    try {
      recogniser ??= startRecogniser();
      const worker = await recogniser;
      const { data } = await worker.recognize(Buffer.from(await page.bytes()), {}, { text: true, blocks: true });
      const words = (data.blocks ?? [])
        .flatMap((block) => block.paragraphs)
        .flatMap((paragraph) => paragraph.lines)
        .flatMap((line) => line.words)
        .map(({ text, confidence, bbox }) => ({
          text,
          confidence,
          box: { left: bbox.x0, top: bbox.y0, right: bbox.x1, bottom: bbox.y1 },
        }));
      return { text: data.text, confidence: data.confidence, words };
    } finally {
      current = null;
    }
  },
);

async function startRecogniser(): Promise<Worker> {
  try {
    return await createWorker(english.code, OEM.LSTM_ONLY, {
      // From the package, so that nothing is downloaded and nothing written.
      langPath: english.langPath,
      gzip: english.gzip,
      cacheMethod: "none",
      logger: ({ status, progress }) => {
        if (status === "recognizing text")
          current?.setStatus(LOADING_SHARE + (1 - LOADING_SHARE) * progress, "reading");
      },
      // Without it the recogniser's own errors end the process; the promise of the call is rejected as well.
      errorHandler: (error) => console.error("tesseract:", error),
    });
  } catch (error) {
    recogniser = null; // The next attempt starts another.
    throw error;
  }
}
