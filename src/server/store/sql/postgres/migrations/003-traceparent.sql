-- The trace that a job belongs to, as W3C Trace Context writes it.
ALTER TABLE jobs ADD COLUMN traceparent text;
