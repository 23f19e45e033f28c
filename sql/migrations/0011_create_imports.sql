-- What `runledger import` has read, and how far: so that a restart goes on, and nothing is imported twice.
CREATE TABLE runledger.imports (
    source text PRIMARY KEY,
    position_bytes bigint NOT NULL DEFAULT 0,
    before_position bytea NOT NULL DEFAULT '',
    line_count bigint NOT NULL DEFAULT 0,
    imported bigint NOT NULL DEFAULT 0,
    changed bigint NOT NULL DEFAULT 0,
    repeated bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT imports_position_is_not_negative CHECK (position_bytes >= 0),
    CONSTRAINT imports_before_position_is_a_digest CHECK (octet_length(before_position) IN (0, 16))
);
COMMENT ON TABLE runledger.imports IS
    'Each source of documents that was imported: how far it was read, and what became of its lines. Written by `runledger import`.';
COMMENT ON COLUMN runledger.imports.source IS 'The file''s absolute path, or the name that --source gave.';
COMMENT ON COLUMN runledger.imports.position_bytes IS
    'Where the next line begins in the file; 0 for standard input, which has no place to go back to.';
COMMENT ON COLUMN runledger.imports.before_position IS
    'A digest of all bytes before that place: if the file has others there, it is another file, and is read from its beginning.';
COMMENT ON COLUMN runledger.imports.line_count IS 'Lines before that place: the next one has the number after it.';
COMMENT ON COLUMN runledger.imports.imported IS 'Documents that became a generation.';
COMMENT ON COLUMN runledger.imports.changed IS 'Documents that came again with another content, which their generation took.';
COMMENT ON COLUMN runledger.imports.repeated IS 'Documents that were there already, and had nothing new that could be taken.';
COMMENT ON COLUMN runledger.imports.refused IS 'Lines that could not be imported: import_refusals has each.';
COMMENT ON COLUMN runledger.imports.updated_at IS 'When the last lines were imported.';

CREATE TABLE runledger.import_refusals (
    source text NOT NULL,
    line_number bigint NOT NULL,
    reason text NOT NULL,
    refused_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT import_refusals_pkey PRIMARY KEY (source, line_number)
);
COMMENT ON TABLE runledger.import_refusals IS
    'The lines that could not be imported, without their content. Written by `runledger import`; a line that is imported later is removed.';
COMMENT ON COLUMN runledger.import_refusals.source IS 'As in imports.';
COMMENT ON COLUMN runledger.import_refusals.line_number IS 'From 1.';
COMMENT ON COLUMN runledger.import_refusals.reason IS 'Why it could not be imported.';
COMMENT ON COLUMN runledger.import_refusals.refused_at IS 'The time of the transaction.';

CREATE TABLE runledger.imported_documents (
    document_digest bytea PRIMARY KEY,
    generation_id bigint,
    content_md5 text NOT NULL,
    imported_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT imported_documents_digest_has_32_bytes CHECK (octet_length(document_digest) = 32)
);
CREATE INDEX imported_documents_generation_id_idx ON runledger.imported_documents (generation_id);
COMMENT ON INDEX runledger.imported_documents_generation_id_idx IS '`runledger forget` finds the documents of a generation.';
COMMENT ON TABLE runledger.imported_documents IS
    'Which generation each document became, by its _id: such a generation keeps its ending. Written by `runledger import`.';
COMMENT ON COLUMN runledger.imported_documents.document_digest IS 'SHA-256 of the document''s _id and its type, as text; if it has none, of the byte FF and the generation''s number, which are no _id.';
COMMENT ON COLUMN runledger.imported_documents.generation_id IS
    'The generation; no foreign key. NULL: it was deleted, or its person forgotten, and so the document is not imported again.';
COMMENT ON COLUMN runledger.imported_documents.content_md5 IS
    'MD5 of the document and of the times that were read from it: the same has nothing new. Empty if its person was forgotten.';
COMMENT ON COLUMN runledger.imported_documents.imported_at IS 'When it was first imported.';
