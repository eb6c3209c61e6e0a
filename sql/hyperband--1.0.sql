/* hyperband--1.0.sql: the catalog in schema hyperband, its views, and the SQL functions */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION hyperband" to load this file. \quit

-- No IF NOT EXISTS: a schema that somebody else made beforehand would stay theirs.
CREATE SCHEMA hyperband;
COMMENT ON SCHEMA hyperband IS 'catalog of hyperband: studies, trials, loss curves and models; USAGE is the permission to tune';

/*
 * Tables. Only the extension's functions write them, as the extension's owner. States are text with a CHECK, so
 * that a later release can add one; names are text with an oid beside them as a hint only, so that one vanished table
 * cannot fail a whole restore. Every child carries study_id, so that row security is cheap.
 */
CREATE TABLE hyperband.study (
	study_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	owner regrole NOT NULL,
	kind text NOT NULL DEFAULT 'table' CHECK (kind IN ('table', 'function', 'external')),
	state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
	name text,
	relation text,
	relation_oid oid,
	objective text,
	target text,
	features text[],
	task text CHECK (task IN ('classification', 'regression')),
	model text,
	metric text,
	direction text CHECK (direction IN ('minimize', 'maximize')),
	sampler text NOT NULL,
	scheduler text NOT NULL,
	resource text NOT NULL,
	device text,
	search_space jsonb,
	options jsonb NOT NULL DEFAULT '{}',
	max_resource integer CHECK (max_resource >= 1),
	min_resource integer NOT NULL CHECK (min_resource >= 1),
	eta integer NOT NULL CHECK (eta >= 2),
	n_trials integer CHECK (n_trials >= 1),
	trainers integer CHECK (trainers >= 1),
	settings jsonb NOT NULL DEFAULT '{}',
	warm jsonb,
	validation float8,
	seed bigint NOT NULL,
	split_seed bigint NOT NULL DEFAULT 0,
	time_limit interval,
	rows_train bigint,
	rows_validation bigint,
	rows_skipped bigint,
	fingerprint bytea,
	versions jsonb,
	resource_planned bigint,
	resource_spent bigint NOT NULL DEFAULT 0,
	best_trial_id bigint,
	best_loss float8,
	cancel_requested boolean NOT NULL DEFAULT false,
	system_identifier bigint NOT NULL,
	sqlstate text,
	error text,
	detail text,
	hint text,
	created_at timestamptz NOT NULL DEFAULT now(),
	started_at timestamptz,
	run_at timestamptz,
	run_from bigint NOT NULL DEFAULT 0,
	finished_at timestamptz
);
CREATE INDEX study_owner_idx ON hyperband.study (owner);
CREATE INDEX study_active_idx ON hyperband.study (state, study_id) WHERE state IN ('queued', 'running');
COMMENT ON TABLE hyperband.study IS 'one tuning run: a data set, a model family, a search space, a sampler, a scheduler, a seed';
COMMENT ON COLUMN hyperband.study.owner IS 'role that started it, whose rights it reads with';
COMMENT ON COLUMN hyperband.study.kind IS 'table: trained here; function: a SQL function is minimised; external: workers ask and tell';
COMMENT ON COLUMN hyperband.study.state IS 'queued, running, done, failed or cancelled; view progress tells running from interrupted';
COMMENT ON COLUMN hyperband.study.name IS 'name of the model that its winner becomes a version of';
COMMENT ON COLUMN hyperband.study.relation IS 'table or view it learns from, as quoted, schema-qualified text';
COMMENT ON COLUMN hyperband.study.relation_oid IS 'oid of the relation or objective when the study was made: a hint only';
COMMENT ON COLUMN hyperband.study.objective IS 'function to minimise, as quoted, schema-qualified text with its arguments, of a study of kind function';
COMMENT ON COLUMN hyperband.study.target IS 'column to predict';
COMMENT ON COLUMN hyperband.study.features IS 'columns to predict from; what was used, once the data is read';
COMMENT ON COLUMN hyperband.study.task IS 'classification or regression; NULL until the data is read';
COMMENT ON COLUMN hyperband.study.model IS 'model family, see hyperband_models()';
COMMENT ON COLUMN hyperband.study.metric IS 'what is compared on the validation rows';
COMMENT ON COLUMN hyperband.study.direction IS 'minimize or maximize, of the metric; loss is always what is minimised';
COMMENT ON COLUMN hyperband.study.resource IS 'what a trial is given more of as it survives';
COMMENT ON COLUMN hyperband.study.max_resource IS 'resource of a trial that survives every rung; NULL: no horizon';
COMMENT ON COLUMN hyperband.study.eta IS 'one trial in eta goes on at each rung';
COMMENT ON COLUMN hyperband.study.n_trials IS 'number of configurations asked for; NULL: as many as the plan has';
COMMENT ON COLUMN hyperband.study.trainers IS 'trainer processes, or workers that evaluate the objective';
COMMENT ON COLUMN hyperband.study.settings IS 'the user''s hyperband.* settings when the study was made';
COMMENT ON COLUMN hyperband.study.warm IS 'of a study with a warm start: what the other study had found out when this one was made';
COMMENT ON COLUMN hyperband.study.validation IS 'fraction of the rows that validate';
COMMENT ON COLUMN hyperband.study.seed IS 'of every random draw but the split';
COMMENT ON COLUMN hyperband.study.split_seed IS 'of the split into training and validation rows: one for all studies of a model';
COMMENT ON COLUMN hyperband.study.rows_skipped IS 'rows without a target';
COMMENT ON COLUMN hyperband.study.fingerprint IS 'digest of the rows and columns that were read, to notice a changed table on resume';
COMMENT ON COLUMN hyperband.study.versions IS 'of extension, server, provider, kernel and BLAS: what bit-identical results depend on';
COMMENT ON COLUMN hyperband.study.resource_planned IS 'units of resource of the whole plan';
COMMENT ON COLUMN hyperband.study.resource_spent IS 'units of resource trained and recorded so far';
COMMENT ON COLUMN hyperband.study.best_trial_id IS 'trial of the best evaluation so far';
COMMENT ON COLUMN hyperband.study.best_loss IS 'loss of the best evaluation so far';
COMMENT ON COLUMN hyperband.study.system_identifier IS 'of the cluster it was made on: a restored dump starts nothing by itself';
COMMENT ON COLUMN hyperband.study.run_at IS
	'start of its present run: later than started_at where it was resumed, taken up after a restart of the server or queued again; from here time_limit counts';
COMMENT ON COLUMN hyperband.study.run_from IS 'resource_spent at run_at';
COMMENT ON COLUMN hyperband.study.sqlstate IS 'of the error that a failed study ended with';

CREATE TABLE hyperband.bracket (
	study_id bigint NOT NULL REFERENCES hyperband.study ON DELETE CASCADE,
	bracket integer NOT NULL,
	trials integer NOT NULL CHECK (trials >= 1),
	min_resource integer NOT NULL CHECK (min_resource >= 1),
	rungs integer NOT NULL CHECK (rungs >= 1),
	PRIMARY KEY (study_id, bracket)
);
COMMENT ON TABLE hyperband.bracket IS 'one run of Successive Halving within a study';
COMMENT ON COLUMN hyperband.bracket.bracket IS 's + k * (s_max + 1), s the number of cuts, k the repetition of the plan';
COMMENT ON COLUMN hyperband.bracket.trials IS 'trials that start in it';
COMMENT ON COLUMN hyperband.bracket.min_resource IS 'resource at its first rung';
COMMENT ON COLUMN hyperband.bracket.rungs IS 'number of rungs, the last one without a cut';

CREATE TABLE hyperband.trial (
	trial_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	study_id bigint NOT NULL REFERENCES hyperband.study ON DELETE CASCADE,
	number integer NOT NULL CHECK (number >= 1),
	bracket integer NOT NULL,
	config jsonb NOT NULL,
	state text NOT NULL DEFAULT 'waiting'
		CHECK (state IN ('waiting', 'running', 'stopped', 'completed', 'diverged', 'failed', 'cancelled')),
	rung integer CHECK (rung >= 0),
	resource integer NOT NULL DEFAULT 0 CHECK (resource >= 0),
	attempt integer NOT NULL DEFAULT 0,
	started_seq integer,
	loss float8,
	metrics jsonb,
	sqlstate text,
	error text,
	started_at timestamptz,
	finished_at timestamptz,
	UNIQUE (study_id, number)
);
CREATE INDEX trial_study_state_idx ON hyperband.trial (study_id, state);
-- whether a configuration was drawn before
CREATE INDEX trial_config_idx ON hyperband.trial (study_id, jsonb_hash(config));
COMMENT ON TABLE hyperband.trial IS 'one hyperparameter configuration of a study';
COMMENT ON COLUMN hyperband.trial.number IS 'from 1 in the order of the plan, largest bracket first';
COMMENT ON COLUMN hyperband.trial.config IS 'values of the search space''s active parameters';
COMMENT ON COLUMN hyperband.trial.state IS 'waiting, running, stopped (cut at a rung), completed (reached its last rung), diverged, failed or cancelled';
COMMENT ON COLUMN hyperband.trial.rung IS 'of its last evaluation; NULL before the first';
COMMENT ON COLUMN hyperband.trial.resource IS 'resource it has been trained for';
COMMENT ON COLUMN hyperband.trial.attempt IS 'raised whenever it is given to a trainer; results of an older attempt are ignored';
COMMENT ON COLUMN hyperband.trial.started_seq IS 'under asha: position in the study''s log of the decision to start it';
COMMENT ON COLUMN hyperband.trial.loss IS 'at its last rung: the metric, negated where higher is better';
COMMENT ON COLUMN hyperband.trial.metrics IS 'all metrics of the task at its last rung';

CREATE TABLE hyperband.evaluation (
	trial_id bigint NOT NULL REFERENCES hyperband.trial ON DELETE CASCADE,
	rung integer NOT NULL CHECK (rung >= 0),
	study_id bigint NOT NULL REFERENCES hyperband.study ON DELETE CASCADE,
	resource integer NOT NULL,
	attempt integer NOT NULL,
	seq integer,
	result_seq integer,
	loss float8,
	metrics jsonb NOT NULL DEFAULT '{}',
	seconds float8,
	rank integer,
	promoted boolean,
	recorded_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (trial_id, rung)
);
CREATE INDEX evaluation_study_rung_idx ON hyperband.evaluation (study_id, rung, loss, trial_id);
CREATE INDEX evaluation_open_idx ON hyperband.evaluation (study_id, rung, loss, trial_id) WHERE promoted IS NULL;
COMMENT ON TABLE hyperband.evaluation IS 'a trial''s result at a rung, and whether it was promoted there';
COMMENT ON COLUMN hyperband.evaluation.seq IS 'position of its decision among the decisions of the study; under asha of its promotion in the log';
COMMENT ON COLUMN hyperband.evaluation.result_seq IS 'under asha: position of the result in the study''s log, which counts starts, results and promotions together';
COMMENT ON COLUMN hyperband.evaluation.loss IS 'the metric on the validation rows, negated where higher is better; NULL where it is undefined';
COMMENT ON COLUMN hyperband.evaluation.metrics IS 'all metrics of the task on the validation rows';
COMMENT ON COLUMN hyperband.evaluation.seconds IS 'the trial''s share of its trainer''s CPU time since the chunk began';
COMMENT ON COLUMN hyperband.evaluation.rank IS 'among the bracket''s trials at this rung, 1 the best; NULL until decided';
COMMENT ON COLUMN hyperband.evaluation.promoted IS 'NULL until decided, and at a last rung';

CREATE TABLE hyperband.loss_curve (
	trial_id bigint NOT NULL REFERENCES hyperband.trial ON DELETE CASCADE,
	resource integer NOT NULL,
	study_id bigint NOT NULL REFERENCES hyperband.study ON DELETE CASCADE,
	train_loss float8,
	validation_loss float8,
	metric_value float8,
	elapsed float8,
	PRIMARY KEY (trial_id, resource)
);
CREATE INDEX loss_curve_study_idx ON hyperband.loss_curve (study_id);
COMMENT ON TABLE hyperband.loss_curve IS 'loss curves, a row a point, committed while the study runs';
COMMENT ON COLUMN hyperband.loss_curve.train_loss IS 'mean batch loss before each update, without l2';
COMMENT ON COLUMN hyperband.loss_curve.validation_loss IS 'the same loss on the validation rows; NULL where it was not computed';
COMMENT ON COLUMN hyperband.loss_curve.metric_value IS 'the study''s metric on the validation rows, in its own unit';
COMMENT ON COLUMN hyperband.loss_curve.elapsed IS 'seconds since the chunk that trained it began';

CREATE TABLE hyperband.checkpoint (
	trial_id bigint NOT NULL REFERENCES hyperband.trial ON DELETE CASCADE,
	resource integer NOT NULL,
	chunk integer NOT NULL CHECK (chunk >= 0),
	study_id bigint NOT NULL REFERENCES hyperband.study ON DELETE CASCADE,
	format integer NOT NULL,
	total_bytes bigint NOT NULL CHECK (total_bytes >= 0),
	crc bigint NOT NULL,
	data bytea NOT NULL,
	PRIMARY KEY (trial_id, resource, chunk)
);
-- Weights do not compress, and EXTERNAL spares the attempt.
ALTER TABLE hyperband.checkpoint ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX checkpoint_study_idx ON hyperband.checkpoint (study_id);
COMMENT ON TABLE hyperband.checkpoint IS 'weights and optimizer state of trials that may go on, reached a last rung, or are the best, in pieces of at most 16 MB';
COMMENT ON COLUMN hyperband.checkpoint.format IS 'version of the layout of data';
COMMENT ON COLUMN hyperband.checkpoint.total_bytes IS 'length of all pieces together';
COMMENT ON COLUMN hyperband.checkpoint.crc IS 'XXH3-64 of this piece';

CREATE TABLE hyperband.turn (
	study_id bigint PRIMARY KEY REFERENCES hyperband.study ON DELETE CASCADE,
	drawn integer NOT NULL DEFAULT 0 CHECK (drawn >= 0),
	exhausted boolean NOT NULL DEFAULT false,
	open_brackets integer NOT NULL DEFAULT 0,
	outstanding integer NOT NULL DEFAULT 0,
	head bigint NOT NULL DEFAULT 0,
	tail bigint NOT NULL DEFAULT 0,
	seq integer NOT NULL DEFAULT 0,
	checked_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE hyperband.turn IS 'where a study that workers ask for trials stands: counters, so that no ask looks at all its trials';
COMMENT ON COLUMN hyperband.turn.drawn IS 'number of the last trial';
COMMENT ON COLUMN hyperband.turn.exhausted IS 'the sampler has no configuration left';
COMMENT ON COLUMN hyperband.turn.open_brackets IS 'brackets that have begun and not ended';
COMMENT ON COLUMN hyperband.turn.outstanding IS 'trials handed out whose result is awaited, and lost ones that are to be handed out again';
COMMENT ON COLUMN hyperband.turn.head IS 'first place of the queue in use';
COMMENT ON COLUMN hyperband.turn.tail IS 'place of the queue to be given next';
COMMENT ON COLUMN hyperband.turn.seq IS 'last position given in the study''s log';
COMMENT ON COLUMN hyperband.turn.checked_at IS 'when vanished workers were last looked for';

CREATE TABLE hyperband.rung (
	study_id bigint NOT NULL REFERENCES hyperband.study ON DELETE CASCADE,
	bracket integer NOT NULL,
	rung integer NOT NULL CHECK (rung >= 0),
	resource integer NOT NULL CHECK (resource >= 1),
	trials integer,
	results integer NOT NULL DEFAULT 0,
	ended integer NOT NULL DEFAULT 0,
	cut_loss float8,
	cut_trial bigint,
	open_loss float8 NOT NULL DEFAULT '-infinity',
	open_trial bigint NOT NULL DEFAULT 0,
	PRIMARY KEY (study_id, bracket, rung)
);
COMMENT ON TABLE hyperband.rung IS 'barriers of a study that workers ask for trials: how many results a rung waits for';
COMMENT ON COLUMN hyperband.rung.trials IS 'that are to reach it; NULL: not known before the rung below is decided';
COMMENT ON COLUMN hyperband.rung.results IS 'trials evaluated at it';
COMMENT ON COLUMN hyperband.rung.ended IS 'results, and trials that diverged or failed on the way';
COMMENT ON COLUMN hyperband.rung.cut_loss IS 'under asha: loss of the last of the best results/eta';
COMMENT ON COLUMN hyperband.rung.cut_trial IS 'its trial';
COMMENT ON COLUMN hyperband.rung.open_loss IS 'under asha: every result before this one was promoted';
COMMENT ON COLUMN hyperband.rung.open_trial IS 'its trial';

CREATE TABLE hyperband.queue (
	study_id bigint NOT NULL REFERENCES hyperband.study ON DELETE CASCADE,
	place bigint NOT NULL,
	trial_id bigint NOT NULL,
	PRIMARY KEY (study_id, place)
);
COMMENT ON TABLE hyperband.queue IS 'trials that the next to ask are given: promoted ones, and those of vanished workers';

CREATE TABLE hyperband.handout (
	trial_id bigint PRIMARY KEY,
	study_id bigint NOT NULL REFERENCES hyperband.study ON DELETE CASCADE,
	attempt integer NOT NULL,
	rung integer NOT NULL,
	from_resource integer NOT NULL,
	to_resource integer NOT NULL,
	worker bigint,
	lease_until timestamptz,
	losses integer NOT NULL DEFAULT 0,
	asked_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX handout_study_idx ON hyperband.handout (study_id, worker);
COMMENT ON TABLE hyperband.handout IS 'trials that workers have now, and what their result is awaited for';
COMMENT ON COLUMN hyperband.handout.rung IS 'that its result is for';
COMMENT ON COLUMN hyperband.handout.worker IS 'whose session lock says that it is alive; NULL: lost, and in the queue';
COMMENT ON COLUMN hyperband.handout.lease_until IS 'the worker counts as vanished afterwards; NULL: its session lock decides';
COMMENT ON COLUMN hyperband.handout.losses IS 'workers that vanished with it';

CREATE TABLE hyperband.model (
	model_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	owner regrole NOT NULL,
	name text NOT NULL,
	version integer NOT NULL CHECK (version >= 1),
	is_current boolean NOT NULL,
	study_id bigint REFERENCES hyperband.study ON DELETE SET NULL,
	trial_id bigint REFERENCES hyperband.trial ON DELETE SET NULL,
	family text NOT NULL,
	task text NOT NULL CHECK (task IN ('classification', 'regression')),
	features text[] NOT NULL,
	feature_types text[] NOT NULL,
	labels text[],
	encoder jsonb NOT NULL,
	metric text NOT NULL,
	loss float8,
	metrics jsonb NOT NULL DEFAULT '{}',
	test_metrics jsonb,
	resource integer NOT NULL,
	split_key bytea,
	format integer NOT NULL,
	total_bytes bigint NOT NULL CHECK (total_bytes >= 0),
	crc bigint NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	UNIQUE (owner, name, version)
);
CREATE UNIQUE INDEX model_current_idx ON hyperband.model (owner, name) WHERE is_current;
CREATE INDEX model_study_idx ON hyperband.model (study_id);
CREATE INDEX model_trial_idx ON hyperband.model (trial_id);
COMMENT ON TABLE hyperband.model IS 'trained weights that can predict, versioned under a name';
COMMENT ON COLUMN hyperband.model.is_current IS 'the version that hyperband_predict uses unless another is asked for';
COMMENT ON COLUMN hyperband.model.labels IS 'classes in their order, the second of two the positive one; NULL for regression';
COMMENT ON COLUMN hyperband.model.encoder IS 'how a row becomes the model''s inputs';
COMMENT ON COLUMN hyperband.model.loss IS 'on the validation rows: the metric, negated where higher is better';
COMMENT ON COLUMN hyperband.model.metrics IS 'all metrics of the task on the validation rows';
COMMENT ON COLUMN hyperband.model.test_metrics IS 'the same on the test rows, which no choice has seen; NULL where there are none';
COMMENT ON COLUMN hyperband.model.split_key IS 'digest of relation, features, split options and split_seed: equal keys have the same validation rows';
COMMENT ON COLUMN hyperband.model.crc IS 'XXH3-64 of the bytes in model_data';

CREATE TABLE hyperband.model_data (
	model_id bigint NOT NULL REFERENCES hyperband.model ON DELETE CASCADE,
	chunk integer NOT NULL CHECK (chunk >= 0),
	data bytea NOT NULL,
	PRIMARY KEY (model_id, chunk)
);
ALTER TABLE hyperband.model_data ALTER COLUMN data SET STORAGE EXTERNAL;
COMMENT ON TABLE hyperband.model_data IS 'the weights of a model, in pieces of at most 16 MB';

CREATE TABLE hyperband.model_grant (
	owner regrole NOT NULL,
	name text NOT NULL,
	grantee regrole NOT NULL,
	PRIMARY KEY (owner, name, grantee)
);
COMMENT ON TABLE hyperband.model_grant IS 'who else may predict with a model, written by hyperband_grant and hyperband_revoke';

/*
 * Row security: each role sees what belongs to a role whose privileges it has. A child is visible where its study
 * is, whose own policy applies in the subquery. Whoever was granted a model gets its predictions, which are made from what the
 * extension's owner reads, but sees neither its row nor its weights: the encoder holds categories of the training rows.
 */
ALTER TABLE hyperband.study ENABLE ROW LEVEL SECURITY;
ALTER TABLE hyperband.bracket ENABLE ROW LEVEL SECURITY;
ALTER TABLE hyperband.trial ENABLE ROW LEVEL SECURITY;
ALTER TABLE hyperband.evaluation ENABLE ROW LEVEL SECURITY;
ALTER TABLE hyperband.loss_curve ENABLE ROW LEVEL SECURITY;
ALTER TABLE hyperband.checkpoint ENABLE ROW LEVEL SECURITY;
ALTER TABLE hyperband.turn ENABLE ROW LEVEL SECURITY;
ALTER TABLE hyperband.rung ENABLE ROW LEVEL SECURITY;
ALTER TABLE hyperband.queue ENABLE ROW LEVEL SECURITY;
ALTER TABLE hyperband.handout ENABLE ROW LEVEL SECURITY;
ALTER TABLE hyperband.model ENABLE ROW LEVEL SECURITY;
ALTER TABLE hyperband.model_data ENABLE ROW LEVEL SECURITY;
ALTER TABLE hyperband.model_grant ENABLE ROW LEVEL SECURITY;

CREATE POLICY own ON hyperband.study FOR SELECT USING (pg_has_role(owner, 'USAGE'));
CREATE POLICY own ON hyperband.bracket FOR SELECT
	USING (study_id IN (SELECT s.study_id FROM hyperband.study s));
CREATE POLICY own ON hyperband.trial FOR SELECT
	USING (study_id IN (SELECT s.study_id FROM hyperband.study s));
CREATE POLICY own ON hyperband.evaluation FOR SELECT
	USING (study_id IN (SELECT s.study_id FROM hyperband.study s));
CREATE POLICY own ON hyperband.loss_curve FOR SELECT
	USING (study_id IN (SELECT s.study_id FROM hyperband.study s));
CREATE POLICY own ON hyperband.checkpoint FOR SELECT
	USING (study_id IN (SELECT s.study_id FROM hyperband.study s));
CREATE POLICY own ON hyperband.turn FOR SELECT
	USING (study_id IN (SELECT s.study_id FROM hyperband.study s));
CREATE POLICY own ON hyperband.rung FOR SELECT
	USING (study_id IN (SELECT s.study_id FROM hyperband.study s));
CREATE POLICY own ON hyperband.queue FOR SELECT
	USING (study_id IN (SELECT s.study_id FROM hyperband.study s));
CREATE POLICY own ON hyperband.handout FOR SELECT
	USING (study_id IN (SELECT s.study_id FROM hyperband.study s));
CREATE POLICY own ON hyperband.model_grant FOR SELECT
	USING (pg_has_role(owner, 'USAGE') OR pg_has_role(grantee, 'USAGE'));
CREATE POLICY own ON hyperband.model FOR SELECT USING (pg_has_role(owner, 'USAGE'));
CREATE POLICY own ON hyperband.model_data FOR SELECT
	USING (EXISTS (SELECT FROM hyperband.model m
				   WHERE m.model_id = model_data.model_id AND pg_has_role(m.owner, 'USAGE')));

COMMENT ON POLICY own ON hyperband.study IS 'studies of roles whose privileges one has';
COMMENT ON POLICY own ON hyperband.bracket IS 'of visible studies';
COMMENT ON POLICY own ON hyperband.trial IS 'of visible studies';
COMMENT ON POLICY own ON hyperband.evaluation IS 'of visible studies';
COMMENT ON POLICY own ON hyperband.loss_curve IS 'of visible studies';
COMMENT ON POLICY own ON hyperband.checkpoint IS 'of visible studies';
COMMENT ON POLICY own ON hyperband.turn IS 'of visible studies';
COMMENT ON POLICY own ON hyperband.rung IS 'of visible studies';
COMMENT ON POLICY own ON hyperband.queue IS 'of visible studies';
COMMENT ON POLICY own ON hyperband.handout IS 'of visible studies';
COMMENT ON POLICY own ON hyperband.model IS 'models of roles whose privileges one has: an encoder holds values of the training rows';
COMMENT ON POLICY own ON hyperband.model_data IS 'weights of models of roles whose privileges one has: a grant gives predictions, not weights';
COMMENT ON POLICY own ON hyperband.model_grant IS 'grants made by or to roles whose privileges one has';

COMMENT ON SEQUENCE hyperband.study_study_id_seq IS 'study ids';
COMMENT ON SEQUENCE hyperband.trial_trial_id_seq IS 'trial ids';
COMMENT ON SEQUENCE hyperband.model_model_id_seq IS 'model ids';

-- The rows belong in a dump.
SELECT pg_catalog.pg_extension_config_dump('hyperband.study', '');
SELECT pg_catalog.pg_extension_config_dump('hyperband.study_study_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('hyperband.bracket', '');
SELECT pg_catalog.pg_extension_config_dump('hyperband.trial', '');
SELECT pg_catalog.pg_extension_config_dump('hyperband.trial_trial_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('hyperband.evaluation', '');
SELECT pg_catalog.pg_extension_config_dump('hyperband.loss_curve', '');
SELECT pg_catalog.pg_extension_config_dump('hyperband.checkpoint', '');
SELECT pg_catalog.pg_extension_config_dump('hyperband.turn', '');
SELECT pg_catalog.pg_extension_config_dump('hyperband.rung', '');
SELECT pg_catalog.pg_extension_config_dump('hyperband.queue', '');
SELECT pg_catalog.pg_extension_config_dump('hyperband.handout', '');
SELECT pg_catalog.pg_extension_config_dump('hyperband.model', '');
SELECT pg_catalog.pg_extension_config_dump('hyperband.model_model_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('hyperband.model_data', '');
SELECT pg_catalog.pg_extension_config_dump('hyperband.model_grant', '');

/*
 * What the views are drawn with. Characters are made by chr() from computed code points: a database in
 * another encoding than UTF8 gets ASCII instead, and this file stays ASCII.
 */
CREATE FUNCTION hyperband.study_is_held(study_id bigint) RETURNS boolean
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hb_sql_study_is_held';
COMMENT ON FUNCTION hyperband.study_is_held(bigint) IS
	'whether a live supervisor holds a running study; true as well where the study has ended meanwhile';

CREATE FUNCTION hyperband.race(study_id bigint)
RETURNS TABLE (trial_id bigint, number integer, pulls integer, mean float8, bound float8, difference float8,
			   difference_bound float8, state text)
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 20
AS 'MODULE_PATHNAME', 'hb_sql_race';
COMMENT ON FUNCTION hyperband.race(bigint) IS 'the trials of a study under racing that have a result, as in view racing_audit; of other studies none';

CREATE FUNCTION hyperband.tie_loss(metrics jsonb) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN jsonb_typeof(metrics -> 'log_loss') = 'number' THEN (metrics -> 'log_loss')::float8
			WHEN jsonb_typeof(metrics -> 'rmse') = 'number' THEN (metrics -> 'rmse')::float8 END;
COMMENT ON FUNCTION hyperband.tie_loss(jsonb) IS
	'what breaks ties between equal losses: log loss, or the root mean squared error; NULL where neither is a number';

CREATE FUNCTION hyperband.bar(spent bigint, planned bigint) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (
	SELECT string_agg(CASE WHEN b.eighths - 8 * cell <= 0 THEN ' '
						   WHEN getdatabaseencoding() = 'UTF8' THEN chr(9616 - least(8, b.eighths - 8 * cell))
						   WHEN b.eighths - 8 * cell >= 8 THEN '#'
						   ELSE '-' END, '' ORDER BY cell)
	FROM (SELECT floor(160 * least(1, greatest(0, spent)::float8 / planned))::integer AS eighths
		  WHERE planned > 0) b,
		 generate_series(0, 19) AS cell
);
COMMENT ON FUNCTION hyperband.bar(bigint, bigint) IS 'a bar of 20 characters, drawn in eighths; NULL where nothing is planned';

CREATE FUNCTION hyperband.sparkline(points float8[]) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (
	WITH finite AS (
		SELECT v, row_number() OVER (ORDER BY i) - 1 AS i, count(*) OVER () AS n
		FROM unnest(points) WITH ORDINALITY AS u(v, i)
		WHERE v BETWEEN -1e100 AND 1e100
	), bucket AS (
		SELECT i * 20 / greatest(n, 20) AS b, avg(v) AS v FROM finite GROUP BY 1
	), scale AS (
		SELECT min(v) AS low, max(v) AS high FROM bucket
	), cell AS (
		SELECT b, CASE WHEN high > low THEN least(7, floor(8 * ((v - low) / (high - low))))::integer ELSE 0 END AS level
		FROM bucket, scale
	)
	SELECT string_agg(CASE WHEN getdatabaseencoding() = 'UTF8' THEN chr(9601 + level)
						   ELSE substr('_.-~=+*#', level + 1, 1) END, '' ORDER BY b)
	FROM cell
);
COMMENT ON FUNCTION hyperband.sparkline(float8[]) IS
	'a curve in at most 20 characters, the lowest value the lowest mark; missing and infinite values are left out';

/*
 * Views. They read with the rights of whoever asks (security_invoker), so row security holds in them.
 */
CREATE VIEW hyperband.progress WITH (security_invoker = true) AS
SELECT s.study_id, s.owner, s.name, s.shown AS state,
	   hyperband.bar(spent.resource, s.resource_planned) AS bar,
	   coalesce(b.brackets_done, 0) AS brackets_done, coalesce(b.brackets, 0) AS brackets,
	   coalesce(b.rungs_done, 0) AS rungs_done, coalesce(b.rungs, 0) AS rungs,
	   coalesce(b.trials_running, 0) AS trials_running, coalesce(b.trials_done, 0) AS trials_done,
	   coalesce(b.trials, 0) AS trials,
	   spent.resource AS resource_spent, s.resource_planned, s.best_loss,
	   CASE s.direction WHEN 'maximize' THEN - s.best_loss ELSE s.best_loss END AS best_metric_value,
	   clock.elapsed,
	   make_interval(secs => round(ahead.seconds)) AS eta
FROM (SELECT study.*,
			 CASE WHEN state NOT IN ('queued', 'running') THEN state
				  WHEN system_identifier IS DISTINCT FROM (SELECT c.system_identifier FROM pg_control_system() c)
				  THEN 'interrupted'
				  WHEN state = 'running' AND kind <> 'external' AND NOT hyperband.study_is_held(study_id) THEN 'interrupted'
				  ELSE state END AS shown
	  FROM hyperband.study) s
-- A trial that was cancelled never reached its next rung: it counts as alive here.
LEFT JOIN (
	SELECT study_id, count(*)::integer AS brackets,
		   count(*) FILTER (WHERE alive = 0)::integer AS brackets_done,
		   sum(rungs)::integer AS rungs,
		   sum(CASE WHEN alive = 0 THEN rungs ELSE lowest + 1 END)::integer AS rungs_done,
		   sum(running)::integer AS trials_running, sum(ended)::integer AS trials_done,
		   sum(trials)::integer AS trials, max(last_at) AS last_at
	FROM (SELECT b.study_id, b.bracket, b.rungs, b.trials,
				 -- configurations that are not drawn yet are not done either
				 count(*) FILTER (WHERE t.state IN ('waiting', 'running', 'cancelled'))
					+ greatest(b.trials - count(t.trial_id), 0) AS alive,
				 count(*) FILTER (WHERE t.state = 'running') AS running,
				 count(*) FILTER (WHERE t.state IN ('stopped', 'completed', 'diverged', 'failed')) AS ended,
				 CASE WHEN count(t.trial_id) < b.trials THEN -1
					  ELSE min(coalesce(t.rung, -1)) FILTER (WHERE t.state IN ('waiting', 'running', 'cancelled')) END AS lowest,
				 max(greatest(t.started_at, t.finished_at)) AS last_at
		  FROM hyperband.bracket b
			   LEFT JOIN hyperband.trial t ON t.study_id = b.study_id AND t.bracket = b.bracket
		  GROUP BY b.study_id, b.bracket) r
	GROUP BY study_id
) b ON b.study_id = s.study_id
CROSS JOIN LATERAL (
	SELECT extract(epoch FROM CASE WHEN s.finished_at IS NOT NULL THEN s.finished_at
								   WHEN s.shown = 'interrupted' THEN coalesce(b.last_at, s.started_at)
								   ELSE statement_timestamp() END - s.started_at)::float8 AS elapsed
) clock
-- What is recorded, and what the trials now training have put on their loss curves since.
CROSS JOIN LATERAL (
	SELECT s.resource_spent + coalesce(sum(greatest(0, c.resource - t.resource)), 0)::bigint AS resource
	FROM hyperband.trial t
		 CROSS JOIN LATERAL (SELECT max(p.resource) AS resource FROM hyperband.loss_curve p
							 WHERE p.trial_id = t.trial_id) c
	WHERE s.shown = 'running' AND t.study_id = s.study_id AND t.state = 'running'
) spent
-- At the pace of its present run; what lies beyond all intervals says nothing.
LEFT JOIN LATERAL (
	SELECT greatest(0, least(p.seconds * greatest(0, s.resource_planned - spent.resource)
								/ nullif(spent.resource - s.run_from, 0),
							 extract(epoch FROM s.time_limit)::float8 - p.seconds)) AS seconds
	FROM (SELECT extract(epoch FROM statement_timestamp() - s.run_at)::float8 AS seconds) p
	WHERE s.shown = 'running' AND spent.resource > s.run_from AND s.resource_planned > 0
) ahead ON ahead.seconds < 1e12
ORDER BY s.study_id;
COMMENT ON VIEW hyperband.progress IS 'how far each study is: made for \watch';
COMMENT ON COLUMN hyperband.progress.state IS 'as in study; interrupted: running by the catalog, but no live supervisor holds it, or of another cluster';
COMMENT ON COLUMN hyperband.progress.bar IS 'resource spent of resource planned';
COMMENT ON COLUMN hyperband.progress.resource_spent IS
	'recorded results, and what trials in training have put on their loss curves since';
COMMENT ON COLUMN hyperband.progress.rungs_done IS 'rungs at which no trial is awaited any more';
COMMENT ON COLUMN hyperband.progress.trials_done IS 'stopped, completed, diverged or failed';
COMMENT ON COLUMN hyperband.progress.best_metric_value IS 'best_loss in the metric''s own unit';
COMMENT ON COLUMN hyperband.progress.elapsed IS
	'seconds since it started; of an interrupted study, until its last trial started or ended';
COMMENT ON COLUMN hyperband.progress.eta IS
	'time left at the pace since it was last started or resumed, at most what time_limit leaves';

CREATE VIEW hyperband.leaderboard WITH (security_invoker = true) AS
SELECT l.study_id, l.place::integer AS place, l.trial_id, l.number, l.bracket, l.state, l.resource, l.loss,
	   CASE l.direction WHEN 'maximize' THEN - l.loss ELSE l.loss END AS metric_value,
	   l.config,
	   hyperband.sparkline(ARRAY(SELECT c.validation_loss FROM hyperband.loss_curve c
								 WHERE c.trial_id = l.trial_id ORDER BY c.resource)) AS curve
FROM (SELECT t.study_id, t.trial_id, t.number, t.bracket, t.state, t.config, s.direction,
			 coalesce(e.resource, t.resource) AS resource, e.loss,
			 row_number() OVER (PARTITION BY t.study_id
								ORDER BY CASE WHEN s.means AND e.comparable IS NOT NULL THEN e.resource END DESC NULLS LAST,
										 e.comparable, e.tie, e.resource DESC NULLS LAST, t.number) AS place
	  FROM hyperband.trial t
		   -- Losses that are means of so many folds or pulls compare with those of as many. Who completed has the most, and where
		   -- a study ended before anybody did, its winner is the best of all.
		   JOIN (SELECT a.study_id, a.direction,
						(a.scheduler = 'racing' OR a.kind = 'table' AND a.resource = 'folds')
						AND (a.state IN ('queued', 'running')
							 OR EXISTS (SELECT FROM hyperband.trial c
										WHERE c.study_id = a.study_id AND c.state = 'completed' AND c.loss < 'infinity')) AS means
				 FROM hyperband.study a) s ON s.study_id = t.study_id
		   LEFT JOIN LATERAL (
				SELECT v.resource, v.loss, v.comparable, v.tie
				FROM (SELECT n.resource, n.loss,
							 CASE WHEN n.loss < 'infinity' THEN n.loss END AS comparable,
							 hyperband.tie_loss(n.metrics) AS tie
					  FROM hyperband.evaluation n WHERE n.trial_id = t.trial_id) v
				ORDER BY CASE WHEN s.means THEN v.resource END DESC, v.comparable, v.tie, v.resource DESC
				LIMIT 1) e ON true) l
ORDER BY l.study_id, l.place;
COMMENT ON VIEW hyperband.leaderboard IS
	'trials of each study, best first, by the winner''s rule: each at its best evaluation, under racing and for folds at its last';
COMMENT ON COLUMN hyperband.leaderboard.place IS
	'by lowest loss, then log loss or root mean squared error, then larger resource, then lower number; under racing and for folds those with more pulls or folds come first';
COMMENT ON COLUMN hyperband.leaderboard.resource IS 'at which loss was reached';
COMMENT ON COLUMN hyperband.leaderboard.metric_value IS 'loss in the metric''s own unit';
COMMENT ON COLUMN hyperband.leaderboard.curve IS 'validation loss over resource as a sparkline';

/*
 * The final order of a bracket: who came further, then the loss there. It is known once every trial of the
 * bracket has ended. Ranks of survivors are taken among the survivors, so that Spearman's correlation is the plain one
 * of two rankings.
 *
 * What a cut cost is known only where those cut are trained on, and no scheduler does that but full, which cuts nobody. So its
 * studies are looked at as if the best 1/eta had been kept at min_resource * eta^i, by the curves; then the final order is that of all
 * trials. A rung at which some trial has no loss yet is left out.
 */
CREATE VIEW hyperband.rung_audit WITH (security_invoker = true) AS
WITH result AS (
	SELECT e.study_id, t.bracket, e.rung, e.resource, e.loss, e.promoted,
		   coalesce(e.rank, row_number() OVER (PARTITION BY e.study_id, t.bracket, e.rung
											   ORDER BY e.loss, t.number)) AS rank,
		   count(*) FILTER (WHERE t.state IN ('waiting', 'running', 'cancelled'))
				OVER (PARTITION BY e.study_id, t.bracket) = 0 AS ended,
		   row_number() OVER (PARTITION BY e.study_id, t.bracket, e.rung
							  ORDER BY t.rung DESC, last.loss, t.number) AS final_rank
	FROM hyperband.evaluation e
		 JOIN hyperband.study s ON s.study_id = e.study_id AND s.scheduler <> 'full'
		 JOIN hyperband.trial t ON t.trial_id = e.trial_id AND t.study_id = e.study_id
		 JOIN hyperband.evaluation last
			ON last.trial_id = t.trial_id AND last.rung = t.rung AND last.study_id = e.study_id
), ranked AS (
	SELECT r.*,
		   CASE WHEN promoted THEN row_number() OVER (PARTITION BY study_id, bracket, rung, promoted ORDER BY rank) END AS rank_here,
		   CASE WHEN promoted THEN row_number() OVER (PARTITION BY study_id, bracket, rung, promoted ORDER BY final_rank) END AS rank_final
	FROM result r
), looked AS (
	SELECT l.study_id, l.rung, l.resource, l.last, l.ended, l.eta, t.number, t.loss AS final_loss,
		   CASE WHEN l.last THEN t.loss ELSE l.sign * p.metric_value END AS loss
	FROM (SELECT s.study_id, s.eta, s.state = 'done' AS ended, i AS rung,
				 least(s.max_resource, s.min_resource * s.eta::numeric ^ i)::integer AS resource,
				 s.min_resource * s.eta::numeric ^ i >= s.max_resource AS last,
				 CASE s.direction WHEN 'maximize' THEN -1 ELSE 1 END AS sign
		  FROM hyperband.study s CROSS JOIN generate_series(0, 31) AS i
		  WHERE s.scheduler = 'full' AND (i = 0 OR s.min_resource * s.eta::numeric ^ (i - 1) < s.max_resource)) l
		 JOIN hyperband.trial t ON t.study_id = l.study_id AND t.state = 'completed'
		 LEFT JOIN LATERAL (
			SELECT c.metric_value FROM hyperband.loss_curve c
			WHERE c.trial_id = t.trial_id AND c.resource <= l.resource AND c.metric_value IS NOT NULL
			ORDER BY c.resource DESC LIMIT 1) p ON true
), placed AS (
	SELECT k.*,
		   row_number() OVER (PARTITION BY study_id, rung ORDER BY loss, number) AS rank,
		   row_number() OVER (PARTITION BY study_id, rung ORDER BY final_loss, number) AS final_rank,
		   count(*) OVER (PARTITION BY study_id, rung) AS n
	FROM looked k
), kept AS (
	SELECT p.*, NOT last AND rank <= greatest(1, n / eta) AS kept FROM placed p
)
SELECT study_id, bracket, rung, min(resource)::integer AS resource, count(*)::integer AS trials,
	   (count(*) FILTER (WHERE promoted))::integer AS promoted,
	   CASE WHEN bool_and(ended) THEN corr(rank_here, rank_final) END AS rank_correlation,
	   CASE WHEN bool_and(ended) THEN (min(rank) FILTER (WHERE final_rank = 1))::integer END AS winner_rank,
	   max(loss) FILTER (WHERE promoted) AS cut_loss,
	   NULL::float8 AS regret
FROM ranked
GROUP BY study_id, bracket, rung
UNION ALL
SELECT study_id, 0, rung, min(resource), count(*)::integer, (count(*) FILTER (WHERE kept))::integer,
	   CASE WHEN bool_and(ended AND NOT last) THEN corr(rank, final_rank) END,
	   CASE WHEN bool_and(ended) THEN (min(rank) FILTER (WHERE final_rank = 1))::integer END,
	   max(loss) FILTER (WHERE kept),
	   CASE WHEN bool_and(ended) THEN min(final_loss) FILTER (WHERE kept) - min(final_loss) END
FROM kept
GROUP BY study_id, rung
HAVING bool_and(last) OR count(loss) = count(*)
ORDER BY study_id, bracket DESC, rung;
COMMENT ON VIEW hyperband.rung_audit IS
	'how well the order at each rung foretold the final order of the bracket; of a study under full also what cutting there would have cost: whether stopping early is safe';
COMMENT ON COLUMN hyperband.rung_audit.bracket IS 'under full 0: all trials';
COMMENT ON COLUMN hyperband.rung_audit.rung IS 'under full: i where all trials are ranked at min_resource * eta^i, by the last loss that their curves have up to there';
COMMENT ON COLUMN hyperband.rung_audit.trials IS 'evaluated at this rung; under full those that completed';
COMMENT ON COLUMN hyperband.rung_audit.promoted IS 'those that went on; under full those that would have, the best 1/eta';
COMMENT ON COLUMN hyperband.rung_audit.rank_correlation IS
	'Spearman''s, of the order here with the final order, over the survivors, under full over all trials; NULL before the bracket ends or with fewer than two';
COMMENT ON COLUMN hyperband.rung_audit.winner_rank IS
	'rank here of the trial that was the bracket''s best in the end; under full the best of all, which a cut here would have lost where this is more than promoted';
COMMENT ON COLUMN hyperband.rung_audit.cut_loss IS 'the worst loss that was still promoted';
COMMENT ON COLUMN hyperband.rung_audit.regret IS
	'under full: how much higher the lowest final loss would have been, had only the best 1/eta gone on from here; NULL under other schedulers, which never train those that they cut to the end';

/*
 * What each bracket would have given alone: at equal resource means after as much as the cheapest bracket spent, results
 * in the order in which they came.
 */
CREATE VIEW hyperband.bracket_audit WITH (security_invoker = true) AS
WITH step AS (
	SELECT e.study_id, t.bracket, e.trial_id, e.rung, e.loss, e.recorded_at,
		   e.resource - CASE WHEN s.resource IN ('rows', 'features') THEN 0 -- trained anew
							 ELSE coalesce(lag(e.resource) OVER (PARTITION BY e.trial_id ORDER BY e.rung), 0) END AS gained
	FROM hyperband.evaluation e
		 JOIN hyperband.trial t ON t.trial_id = e.trial_id AND t.study_id = e.study_id
		 JOIN hyperband.study s ON s.study_id = e.study_id
), spent AS (
	SELECT step.*, sum(gained) OVER (PARTITION BY study_id, bracket ORDER BY recorded_at, rung, trial_id) AS so_far
	FROM step
), total AS (
	SELECT study_id, bracket, count(DISTINCT trial_id)::integer AS trials, sum(gained)::bigint AS resource_spent,
		   min(loss) AS best_loss
	FROM spent GROUP BY study_id, bracket
), equal AS (
	SELECT total.*, min(resource_spent) OVER (PARTITION BY study_id) AS equal_resource FROM total
), reached AS (
	SELECT q.study_id, q.bracket, q.trials, q.resource_spent, q.best_loss, q.equal_resource,
		   (SELECT min(p.loss) FROM spent p
			WHERE p.study_id = q.study_id AND p.bracket = q.bracket AND p.so_far <= q.equal_resource) AS loss_at_equal_resource
	FROM equal q
)
SELECT r.study_id, r.bracket, b.min_resource, r.trials, r.resource_spent, r.best_loss, r.equal_resource, r.loss_at_equal_resource,
	   rank() OVER (PARTITION BY r.study_id ORDER BY r.loss_at_equal_resource, r.bracket)::integer AS place
FROM reached r
	 JOIN hyperband.bracket b ON b.study_id = r.study_id AND b.bracket = r.bracket
ORDER BY r.study_id, r.bracket DESC;
COMMENT ON VIEW hyperband.bracket_audit IS 'which bracket of a study would have been best, had all resource gone to it: whether starting small was safe';
COMMENT ON COLUMN hyperband.bracket_audit.min_resource IS 'resource at its first rung: the smaller, the bolder';
COMMENT ON COLUMN hyperband.bracket_audit.trials IS 'evaluated at least once';
COMMENT ON COLUMN hyperband.bracket_audit.equal_resource IS 'what the cheapest bracket of the study spent';
COMMENT ON COLUMN hyperband.bracket_audit.loss_at_equal_resource IS 'best loss once the bracket had spent that much; NULL where its first result cost more';
COMMENT ON COLUMN hyperband.bracket_audit.place IS 'by loss_at_equal_resource, the best first';

CREATE VIEW hyperband.racing_audit WITH (security_invoker = true) AS
SELECT s.study_id, r.trial_id, r.number, r.pulls, r.mean, r.bound, r.difference, r.difference_bound, r.state
FROM hyperband.study s
	 CROSS JOIN LATERAL hyperband.race(s.study_id) r
WHERE s.scheduler = 'racing'
ORDER BY s.study_id, r.pulls DESC, r.mean, r.number;
COMMENT ON VIEW hyperband.racing_audit IS
	'each trial of a study under racing with its mean and bound, and those of its difference to the leader, by which it stays or is dropped';
COMMENT ON COLUMN hyperband.racing_audit.pulls IS 'folds or evaluations that it had; those of a dropped one end where it was dropped';
COMMENT ON COLUMN hyperband.racing_audit.mean IS 'of the losses of its pulls';
COMMENT ON COLUMN hyperband.racing_audit.bound IS 'half the width of the t-interval of the mean, at 1 - 0.05/(n*k*(k+1)) of n trials after k pulls; NULL before the second';
COMMENT ON COLUMN hyperband.racing_audit.difference IS
	'mean difference to the leader pull by pull, over the pulls that the trial had; the leader is the best of those with the most pulls';
COMMENT ON COLUMN hyperband.racing_audit.difference_bound IS
	'half the width of its interval: a trial is dropped where difference - difference_bound > 0, after three pulls at the earliest';

-- The schema's USAGE is the gate, row security the rest; nobody but the owner is granted USAGE here.
GRANT SELECT ON ALL TABLES IN SCHEMA hyperband TO PUBLIC;

/*
 * Functions, in the schema chosen at CREATE EXTENSION.
 */
CREATE FUNCTION hyperband_tune(
	train_table regclass, target name,
	model text DEFAULT 'mlp', search_space jsonb DEFAULT NULL,
	features name[] DEFAULT NULL, name text DEFAULT NULL,
	task text DEFAULT NULL, metric text DEFAULT NULL,
	sampler text DEFAULT 'random', scheduler text DEFAULT 'hyperband',
	max_resource integer DEFAULT 81, min_resource integer DEFAULT 1, eta integer DEFAULT 3,
	resource text DEFAULT 'epochs', n_trials integer DEFAULT NULL,
	validation float8 DEFAULT 0.2, seed bigint DEFAULT 0,
	trainers integer DEFAULT NULL, device text DEFAULT NULL,
	time_limit interval DEFAULT NULL, options jsonb DEFAULT '{}')
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hyperband_tune';
COMMENT ON FUNCTION hyperband_tune(regclass, name, text, jsonb, name[], text, text, text, text, text, integer, integer, integer, text, integer, float8, bigint, integer, text, interval, jsonb) IS
	'tunes a model of a table in the background; returns the study''s id at once, it starts at COMMIT';

CREATE PROCEDURE hyperband_run(
	train_table regclass, target name,
	model text DEFAULT 'mlp', search_space jsonb DEFAULT NULL,
	features name[] DEFAULT NULL, name text DEFAULT NULL,
	task text DEFAULT NULL, metric text DEFAULT NULL,
	sampler text DEFAULT 'random', scheduler text DEFAULT 'hyperband',
	max_resource integer DEFAULT 81, min_resource integer DEFAULT 1, eta integer DEFAULT 3,
	resource text DEFAULT 'epochs', n_trials integer DEFAULT NULL,
	validation float8 DEFAULT 0.2, seed bigint DEFAULT 0,
	trainers integer DEFAULT NULL, device text DEFAULT NULL,
	time_limit interval DEFAULT NULL, options jsonb DEFAULT '{}',
	INOUT study bigint DEFAULT NULL)
LANGUAGE C
AS 'MODULE_PATHNAME', 'hyperband_run';
COMMENT ON PROCEDURE hyperband_run(regclass, name, text, jsonb, name[], text, text, text, text, text, integer, integer, integer, text, integer, float8, bigint, integer, text, interval, jsonb, bigint) IS
	'tunes a model of a table, commits, and waits until the study has ended, with progress in notices';

CREATE FUNCTION hyperband_wait(study bigint, timeout interval DEFAULT NULL) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hyperband_wait';
COMMENT ON FUNCTION hyperband_wait(bigint, interval) IS
	'waits until a study has ended and returns its state, or the current one at timeout; raises the error of a failed one';

CREATE FUNCTION hyperband_cancel(study bigint) RETURNS boolean
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hyperband_cancel';
COMMENT ON FUNCTION hyperband_cancel(bigint) IS 'cancels a study; returns whether anything changed';

CREATE FUNCTION hyperband_resume(study bigint) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hyperband_resume';
COMMENT ON FUNCTION hyperband_resume(bigint) IS 'goes on with an interrupted, failed or cancelled study from what it has recorded';

CREATE FUNCTION hyperband_drop(study bigint) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hyperband_drop';
COMMENT ON FUNCTION hyperband_drop(bigint) IS 'deletes a study and all its trials; models it made stay';

CREATE FUNCTION hyperband_plan(
	max_resource integer, eta integer DEFAULT 3, min_resource integer DEFAULT 1,
	scheduler text DEFAULT 'hyperband', n_trials integer DEFAULT NULL, options jsonb DEFAULT '{}')
RETURNS TABLE (bracket integer, rung integer, trials integer, resource integer)
LANGUAGE C STABLE PARALLEL SAFE ROWS 20
AS 'MODULE_PATHNAME', 'hyperband_plan';
COMMENT ON FUNCTION hyperband_plan(integer, integer, integer, text, integer, jsonb) IS
	'the brackets and rungs that a study of these numbers would have';

CREATE FUNCTION hyperband_models()
RETURNS TABLE (model text, parameter text, type text, low float8, high float8, log boolean, choices jsonb,
			   default_value jsonb, condition jsonb, description text)
LANGUAGE C STABLE PARALLEL SAFE ROWS 40
AS 'MODULE_PATHNAME', 'hyperband_models';
COMMENT ON FUNCTION hyperband_models() IS 'model families and their hyperparameters, with the default search spaces';

CREATE FUNCTION hyperband_predict(name text, input record, version integer DEFAULT NULL) RETURNS float8
LANGUAGE C STABLE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'hyperband_predict';
COMMENT ON FUNCTION hyperband_predict(text, record, integer) IS
	'prediction for a row: the value, or with two classes the probability of the second';

CREATE FUNCTION hyperband_predict(name text, input jsonb, version integer DEFAULT NULL) RETURNS float8
LANGUAGE C STABLE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'hyperband_predict_jsonb';
COMMENT ON FUNCTION hyperband_predict(text, jsonb, integer) IS
	'prediction for a row given as a JSON object: the value, or with two classes the probability of the second';

CREATE FUNCTION hyperband_classify(name text, input record, version integer DEFAULT NULL) RETURNS text
LANGUAGE C STABLE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'hyperband_classify';
COMMENT ON FUNCTION hyperband_classify(text, record, integer) IS 'the most likely class of a row';

CREATE FUNCTION hyperband_classify(name text, input jsonb, version integer DEFAULT NULL) RETURNS text
LANGUAGE C STABLE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'hyperband_classify_jsonb';
COMMENT ON FUNCTION hyperband_classify(text, jsonb, integer) IS 'the most likely class of a row given as a JSON object';

CREATE FUNCTION hyperband_probabilities(name text, input record, version integer DEFAULT NULL) RETURNS jsonb
LANGUAGE C STABLE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'hyperband_probabilities';
COMMENT ON FUNCTION hyperband_probabilities(text, record, integer) IS 'the probability of each class for a row';

CREATE FUNCTION hyperband_probabilities(name text, input jsonb, version integer DEFAULT NULL) RETURNS jsonb
LANGUAGE C STABLE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'hyperband_probabilities_jsonb';
COMMENT ON FUNCTION hyperband_probabilities(text, jsonb, integer) IS
	'the probability of each class for a row given as a JSON object';

CREATE FUNCTION hyperband_grant(name text, role regrole) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hyperband_grant';
COMMENT ON FUNCTION hyperband_grant(text, regrole) IS 'lets a role predict with one''s model';

CREATE FUNCTION hyperband_revoke(name text, role regrole) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hyperband_revoke';
COMMENT ON FUNCTION hyperband_revoke(text, regrole) IS 'takes back what hyperband_grant gave';

CREATE FUNCTION hyperband_promote(name text, version integer) RETURNS boolean
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hyperband_promote';
COMMENT ON FUNCTION hyperband_promote(text, integer) IS 'makes a version of a model the current one; returns whether anything changed';

CREATE FUNCTION hyperband_drop_model(name text, version integer DEFAULT NULL) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hyperband_drop_model';
COMMENT ON FUNCTION hyperband_drop_model(text, integer) IS 'deletes one version of a model, or all of them and the grants on it';

/*
 * Anything can be a worker: whoever asks for trials, trains them and tells the losses; a SQL function; a recorded study.
 */
CREATE FUNCTION hyperband_create_study(
	search_space jsonb,
	sampler text DEFAULT 'random', scheduler text DEFAULT 'hyperband',
	max_resource integer DEFAULT 81, min_resource integer DEFAULT 1, eta integer DEFAULT 3,
	resource text DEFAULT 'epochs', n_trials integer DEFAULT NULL, seed bigint DEFAULT 0,
	name text DEFAULT NULL, time_limit interval DEFAULT NULL, options jsonb DEFAULT '{}',
	direction text DEFAULT 'minimize')
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hyperband_create_study';
COMMENT ON FUNCTION hyperband_create_study(jsonb, text, text, integer, integer, integer, text, integer, bigint, text, interval, jsonb, text) IS
	'makes a study whose trials outside workers train, by hyperband_ask and hyperband_tell; returns its id';

CREATE FUNCTION hyperband_ask(study bigint, n integer DEFAULT 1)
RETURNS TABLE (trial_id bigint, attempt integer, config jsonb, from_resource integer, to_resource integer)
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'hyperband_ask';
COMMENT ON FUNCTION hyperband_ask(bigint, integer) IS
	'hands out up to n trials of a study to train; none where results of others are awaited or the study is done. COMMIT before training';

CREATE FUNCTION hyperband_tell(trial_id bigint, attempt integer, resource integer, loss float8, metrics jsonb DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hyperband_tell';
COMMENT ON FUNCTION hyperband_tell(bigint, integer, integer, float8, jsonb) IS
	'records what a trial that hyperband_ask gave has reached, on the way or at the end; NaN: it diverged';

CREATE FUNCTION hyperband_minimize(
	objective regprocedure, search_space jsonb,
	sampler text DEFAULT 'random', scheduler text DEFAULT 'hyperband',
	max_resource integer DEFAULT 81, min_resource integer DEFAULT 1, eta integer DEFAULT 3,
	resource text DEFAULT 'epochs', n_trials integer DEFAULT NULL, seed bigint DEFAULT 0,
	name text DEFAULT NULL, time_limit interval DEFAULT NULL, options jsonb DEFAULT '{}',
	workers integer DEFAULT 1)
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hyperband_minimize';
COMMENT ON FUNCTION hyperband_minimize(regprocedure, jsonb, text, text, integer, integer, integer, text, integer, bigint, text, interval, jsonb, integer) IS
	'minimises objective(config jsonb, resource integer) in the background; returns the study''s id at once, it starts at COMMIT';

CREATE FUNCTION hyperband_simulate(
	study bigint, scheduler text DEFAULT 'hyperband', eta integer DEFAULT 3, seed bigint DEFAULT 0,
	options jsonb DEFAULT '{}')
RETURNS TABLE (resource_spent bigint, best_loss float8, regret float8)
LANGUAGE C STABLE PARALLEL UNSAFE ROWS 20
AS 'MODULE_PATHNAME', 'hyperband_simulate';
COMMENT ON FUNCTION hyperband_simulate(bigint, text, integer, bigint, jsonb) IS
	'replays a study''s recorded loss curves under another scheduler, without training';
