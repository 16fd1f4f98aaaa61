CREATE TABLE "meta" (
   "key" TEXT PRIMARY KEY NOT NULL,
   "value" TEXT NOT NULL
) STRICT;
CREATE TABLE "documents" (
   "document_id" TEXT PRIMARY KEY NOT NULL,
   "name" TEXT NOT NULL,
   "title" TEXT NOT NULL DEFAULT '',
   "status" TEXT NOT NULL DEFAULT 'pending',
   "status_reason" TEXT NOT NULL DEFAULT '',
   "note" TEXT NOT NULL DEFAULT '',
   "extract" TEXT,
   "chars" INTEGER NOT NULL DEFAULT 0,
   "rounds" INTEGER NOT NULL DEFAULT 0,
   "epoch" INTEGER NOT NULL DEFAULT 0,
   "settled" INTEGER NOT NULL DEFAULT 0,
   "source" TEXT NOT NULL DEFAULT '',
   "replaced_by" TEXT NOT NULL DEFAULT '',
   "text" TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX "idx_documents_status"
    ON "documents" ("status");
CREATE TABLE "candidates" (
   "candidate_id" TEXT PRIMARY KEY NOT NULL,
   "kind" TEXT NOT NULL DEFAULT '',
   "question" TEXT NOT NULL,
   "context" TEXT NOT NULL DEFAULT '',
   "reference_answer" TEXT NOT NULL,
   "candidate" TEXT NOT NULL
) STRICT;
CREATE TABLE "rounds" (
   "round_id" TEXT PRIMARY KEY NOT NULL,
   "document_id" TEXT NOT NULL REFERENCES "documents"("document_id"),
   "thread_id" TEXT NOT NULL,
   "candidate_id" TEXT REFERENCES "candidates"("candidate_id"),
   "passage" TEXT NOT NULL DEFAULT '',
   "outcome" TEXT NOT NULL DEFAULT 'open',
   "failure_mode" TEXT,
   "reason" TEXT NOT NULL DEFAULT '',
   "feedback" TEXT NOT NULL DEFAULT '',
   "quality" TEXT,
   "judgement" TEXT,
   "packet" TEXT,
   "screen" TEXT,
   "prompt_version" TEXT NOT NULL DEFAULT '',
   "lessons" TEXT NOT NULL DEFAULT '',
   "n" INTEGER NOT NULL,
   "weak_mean" REAL,
   "strong_mean" REAL,
   "gap" REAL
) STRICT;
CREATE INDEX "idx_rounds_document_id_n"
    ON "rounds" ("document_id", "n");
CREATE INDEX "idx_rounds_thread_id"
    ON "rounds" ("thread_id");
CREATE INDEX "idx_rounds_candidate_id"
    ON "rounds" ("candidate_id");
CREATE TABLE "attempts" (
   "attempt_id" TEXT PRIMARY KEY NOT NULL,
   "round_id" TEXT NOT NULL REFERENCES "rounds"("round_id"),
   "candidate_id" TEXT NOT NULL,
   "stage" TEXT NOT NULL,
   "answer" TEXT NOT NULL,
   "score" TEXT,
   "decided_by" TEXT,
   "model" TEXT NOT NULL DEFAULT '',
   "mode" TEXT NOT NULL DEFAULT '{}',
   "idx" INTEGER NOT NULL,
   "chars" INTEGER NOT NULL DEFAULT 0,
   "truncated" INTEGER NOT NULL DEFAULT 0,
   "answered" INTEGER NOT NULL DEFAULT 1,
   "score_value" REAL
) STRICT;
CREATE INDEX "idx_attempts_round_id"
    ON "attempts" ("round_id");
CREATE TABLE "marks" (
   "attempt_id" TEXT NOT NULL REFERENCES "attempts"("attempt_id"),
   "criterion" INTEGER NOT NULL,
   "text" TEXT NOT NULL,
   "reason" TEXT NOT NULL DEFAULT '',
   "weight" INTEGER NOT NULL,
   "met" INTEGER NOT NULL,
   PRIMARY KEY ("attempt_id", "criterion")
) STRICT, WITHOUT ROWID;
CREATE TABLE "verdicts" (
   "round_id" TEXT NOT NULL REFERENCES "rounds"("round_id"),
   "stage" TEXT NOT NULL,
   "preset" TEXT NOT NULL,
   "decision" TEXT NOT NULL,
   "failure_mode" TEXT,
   "checks" TEXT NOT NULL DEFAULT '[]',
   "summary" TEXT NOT NULL DEFAULT '',
   "planned" INTEGER NOT NULL DEFAULT 0,
   "made" INTEGER NOT NULL DEFAULT 0,
   "weak_mean" REAL,
   "strong_mean" REAL,
   "gap" REAL,
   PRIMARY KEY ("round_id", "stage")
) STRICT;
CREATE TABLE "calls" (
   "key" TEXT PRIMARY KEY NOT NULL,
   "document_id" TEXT,
   "thread_id" TEXT NOT NULL DEFAULT '',
   "role" TEXT NOT NULL,
   "node" TEXT NOT NULL DEFAULT '',
   "idx" TEXT NOT NULL DEFAULT '0',
   "model" TEXT NOT NULL,
   "params" TEXT NOT NULL DEFAULT '{}',
   "messages_hash" TEXT NOT NULL DEFAULT '',
   "prompt_version" TEXT NOT NULL DEFAULT '',
   "response" TEXT NOT NULL,
   "finish_reason" TEXT NOT NULL DEFAULT '',
   "created_at" TEXT NOT NULL,
   "n" INTEGER NOT NULL DEFAULT 0,
   "try" INTEGER NOT NULL DEFAULT 0,
   "epoch" INTEGER NOT NULL DEFAULT 0,
   "tokens_in" INTEGER,
   "tokens_out" INTEGER,
   "tokens_cached" INTEGER,
   "tokens_reasoning" INTEGER,
   "charged_in" INTEGER,
   "charged_out" INTEGER,
   "latency_s" REAL NOT NULL DEFAULT 0,
   "cost_usd" REAL,
   "charged_usd" REAL
) STRICT;
CREATE INDEX "idx_calls_document_id"
    ON "calls" ("document_id");
CREATE INDEX "idx_calls_thread_id"
    ON "calls" ("thread_id");
CREATE INDEX "idx_calls_role_model_tokens_in_tokens_out_tokens_cached_tokens_reasoning_cost_usd_charged_in_charged_out_charged_usd"
    ON "calls" ("role", "model", "tokens_in", "tokens_out", "tokens_cached", "tokens_reasoning", "cost_usd", "charged_in", "charged_out", "charged_usd");
CREATE TABLE "timeouts" (
   "timeout_id" TEXT PRIMARY KEY NOT NULL,
   "call_key" TEXT NOT NULL DEFAULT '',
   "document_id" TEXT NOT NULL DEFAULT '',
   "thread_id" TEXT NOT NULL DEFAULT '',
   "role" TEXT NOT NULL,
   "model" TEXT NOT NULL,
   "cause" TEXT NOT NULL DEFAULT 'timeout',
   "created_at" TEXT NOT NULL,
   "charged_in" INTEGER NOT NULL DEFAULT 0,
   "charged_out" INTEGER NOT NULL DEFAULT 0,
   "charged_usd" REAL
) STRICT;
CREATE TABLE "examples" (
   "example_id" TEXT PRIMARY KEY NOT NULL,
   "document_id" TEXT NOT NULL REFERENCES "documents"("document_id"),
   "round_id" TEXT NOT NULL REFERENCES "rounds"("round_id"),
   "example" TEXT NOT NULL,
   "rounds" INTEGER NOT NULL,
   "weak_mean" REAL,
   "strong_mean" REAL,
   "gap" REAL,
   "question_key" TEXT,
   "tied" INTEGER
) STRICT;
CREATE INDEX "idx_examples_document_id"
    ON "examples" ("document_id");
CREATE INDEX "idx_examples_round_id"
    ON "examples" ("round_id");
CREATE TABLE "labels" (
   "label_id" TEXT PRIMARY KEY NOT NULL,
   "document_id" TEXT NOT NULL REFERENCES "documents"("document_id"),
   "thread_id" TEXT NOT NULL,
   "round_id" TEXT NOT NULL REFERENCES "rounds"("round_id"),
   "candidate_id" TEXT NOT NULL,
   "verdict" TEXT NOT NULL,
   "why" TEXT NOT NULL DEFAULT '',
   "decision" TEXT,
   "reason" TEXT NOT NULL DEFAULT '',
   "edited" TEXT,
   "edited_id" TEXT,
   "reviewer" TEXT NOT NULL DEFAULT '',
   "created_at" TEXT NOT NULL DEFAULT '',
   "n" INTEGER NOT NULL
) STRICT;
CREATE INDEX "idx_labels_document_id"
    ON "labels" ("document_id");
CREATE INDEX "idx_labels_round_id"
    ON "labels" ("round_id");
CREATE TABLE "forks" (
   "fork" TEXT PRIMARY KEY NOT NULL,
   "document_id" TEXT NOT NULL REFERENCES "documents"("document_id"),
   "thread_id" TEXT NOT NULL,
   "round_id" TEXT,
   "folder" TEXT NOT NULL DEFAULT '',
   "changed" TEXT NOT NULL,
   "change" TEXT NOT NULL DEFAULT '',
   "created_at" TEXT NOT NULL DEFAULT '',
   "n" INTEGER NOT NULL
) STRICT;
CREATE INDEX "idx_forks_document_id"
    ON "forks" ("document_id");
CREATE TABLE "batches" (
   "batch" INTEGER PRIMARY KEY NOT NULL,
   "documents" TEXT NOT NULL,
   "lessons" TEXT NOT NULL DEFAULT '[]',
   "steer" TEXT NOT NULL DEFAULT '{}',
   "state" TEXT NOT NULL DEFAULT 'open',
   "figures" TEXT NOT NULL DEFAULT '{}',
   "note" TEXT NOT NULL DEFAULT '',
   "created_at" TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE "lessons" (
   "lesson_id" TEXT NOT NULL,
   "version" INTEGER NOT NULL,
   "text" TEXT NOT NULL,
   "evidence" TEXT NOT NULL DEFAULT '[]',
   "figures" TEXT NOT NULL DEFAULT '{}',
   "author" TEXT NOT NULL DEFAULT 'analyst',
   "created_at" TEXT NOT NULL DEFAULT '',
   "batch" INTEGER NOT NULL,
   "active" INTEGER NOT NULL DEFAULT 1,
   PRIMARY KEY ("lesson_id", "version")
) STRICT;
CREATE TABLE "failures" (
   "failure_id" TEXT PRIMARY KEY NOT NULL,
   "document_id" TEXT NOT NULL REFERENCES "documents"("document_id"),
   "thread_id" TEXT NOT NULL DEFAULT '',
   "kind" TEXT NOT NULL,
   "message" TEXT NOT NULL,
   "created_at" TEXT NOT NULL,
   "epoch" INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX "idx_failures_document_id"
    ON "failures" ("document_id");
CREATE TABLE "splits" (
   "document_id" TEXT PRIMARY KEY NOT NULL REFERENCES "documents"("document_id"),
   "split" TEXT NOT NULL,
   "position" INTEGER NOT NULL
) STRICT;
CREATE TABLE "trials" (
   "evaluation" TEXT NOT NULL,
   "document_id" TEXT NOT NULL REFERENCES "documents"("document_id"),
   "status" TEXT NOT NULL DEFAULT 'pending',
   "status_reason" TEXT NOT NULL DEFAULT '',
   "extract" TEXT,
   "position" INTEGER NOT NULL DEFAULT 0,
   "rounds" INTEGER NOT NULL DEFAULT 0,
   "epoch" INTEGER NOT NULL DEFAULT 0,
   "settled" INTEGER NOT NULL DEFAULT 0,
   "calls" INTEGER NOT NULL DEFAULT 0,
   PRIMARY KEY ("evaluation", "document_id")
) STRICT;
CREATE INDEX "idx_trials_document_id"
    ON "trials" ("document_id");
CREATE TABLE "packs" (
   "pack" TEXT PRIMARY KEY NOT NULL,
   "parent" TEXT,
   "state" TEXT NOT NULL,
   "diff" TEXT NOT NULL,
   "texts" TEXT,
   "summary" TEXT NOT NULL DEFAULT '',
   "created_at" TEXT NOT NULL DEFAULT '',
   "iteration" INTEGER NOT NULL
) STRICT;
CREATE TABLE "evaluations" (
   "evaluation" TEXT PRIMARY KEY NOT NULL,
   "pack" TEXT NOT NULL REFERENCES "packs"("pack"),
   "split" TEXT NOT NULL,
   "state" TEXT NOT NULL DEFAULT 'open',
   "created_at" TEXT NOT NULL DEFAULT '',
   "block" INTEGER NOT NULL,
   "documents" INTEGER NOT NULL DEFAULT 0,
   "passed" INTEGER NOT NULL DEFAULT 0,
   "errored" INTEGER NOT NULL DEFAULT 0,
   "calls" INTEGER NOT NULL DEFAULT 0,
   "iteration" INTEGER NOT NULL DEFAULT 0,
   "score" REAL
) STRICT;
CREATE INDEX "idx_evaluations_pack_split"
    ON "evaluations" ("pack", "split");
CREATE TABLE "iterations" (
   "iteration" INTEGER PRIMARY KEY NOT NULL,
   "parent" TEXT NOT NULL,
   "probabilities" TEXT NOT NULL,
   "minibatch" TEXT NOT NULL DEFAULT '[]',
   "history" TEXT NOT NULL DEFAULT '[]',
   "analysis" TEXT,
   "edits" TEXT NOT NULL DEFAULT '[]',
   "mutant" TEXT,
   "leader" TEXT,
   "confirmed" TEXT,
   "outcome" TEXT NOT NULL DEFAULT 'open',
   "reason" TEXT NOT NULL DEFAULT '',
   "summary" TEXT NOT NULL DEFAULT '',
   "created_at" TEXT NOT NULL DEFAULT '',
   "ended_at" TEXT,
   "lane" INTEGER NOT NULL,
   "sampled" INTEGER NOT NULL DEFAULT 1,
   "block" INTEGER NOT NULL DEFAULT 0,
   "record" INTEGER NOT NULL DEFAULT 0,
   "led" INTEGER,
   "draw" REAL,
   "parent_score" REAL,
   "mutant_score" REAL
) STRICT;
CREATE INDEX "idx_iterations_parent"
    ON "iterations" ("parent");
CREATE TABLE "spans" (
   "span_id" TEXT PRIMARY KEY NOT NULL,
   "parent_id" TEXT,
   "thread_id" TEXT NOT NULL,
   "document_id" TEXT NOT NULL DEFAULT '',
   "kind" TEXT NOT NULL,
   "name" TEXT NOT NULL,
   "role" TEXT NOT NULL DEFAULT '',
   "idx" TEXT NOT NULL DEFAULT '',
   "model" TEXT NOT NULL DEFAULT '',
   "call_key" TEXT,
   "status" TEXT NOT NULL DEFAULT 'open',
   "outcome" TEXT NOT NULL DEFAULT '',
   "error" TEXT NOT NULL DEFAULT '',
   "started" TEXT NOT NULL,
   "ended" TEXT,
   "n" INTEGER NOT NULL DEFAULT 0,
   "try" INTEGER NOT NULL DEFAULT 0,
   "epoch" INTEGER NOT NULL DEFAULT 0,
   "requests" INTEGER NOT NULL DEFAULT 0,
   "replayed" INTEGER NOT NULL DEFAULT 0,
   "tokens_in" INTEGER,
   "tokens_out" INTEGER,
   "cost_usd" REAL
) STRICT;
CREATE INDEX "idx_spans_thread_id"
    ON "spans" ("thread_id");
