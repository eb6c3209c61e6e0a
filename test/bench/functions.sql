-- Benchmark functions with a fidelity, as SQL functions for hyperband_minimize.  Started by functions.sh, which says
-- where they come from.  Resource 1..81 is the fidelity z = resource / 81; at z = 1 each is the original function.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS hyperband;
DROP SCHEMA IF EXISTS functions_bench CASCADE;
CREATE SCHEMA functions_bench;
SET search_path = functions_bench, public;

-- -sum_i (alpha_i - 0.1 (1 - z)) exp(-sum_j A_ij (x_j - P_ij)^2); a and p row by row.
CREATE FUNCTION hartmann(x float8[], z float8, a float8[], p float8[]) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	alpha CONSTANT float8[] := '{1.0, 1.2, 3.0, 3.2}';
	d CONSTANT int := cardinality(x);
	y float8 := 0;
	distance float8;
BEGIN
	FOR i IN 1..4 LOOP
		distance := 0;
		FOR j IN 1..d LOOP
			distance := distance + a[(i - 1) * d + j] * (x[j] - p[(i - 1) * d + j]) ^ 2;
		END LOOP;
		y := y - (alpha[i] - 0.1 * (1 - z)) * exp(-distance);
	END LOOP;
	RETURN y;
END $$;

-- x1, x2, ... of a configuration in order.
CREATE FUNCTION coordinates(config jsonb, d int) RETURNS float8[] LANGUAGE sql IMMUTABLE AS $$
	SELECT array_agg((config ->> ('x' || j))::float8 ORDER BY j) FROM generate_series(1, d) j
$$;

CREATE FUNCTION hartmann3(config jsonb, resource int) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
	SELECT functions_bench.hartmann(functions_bench.coordinates(config, 3), resource / 81.0,
		'{3, 10, 30, 0.1, 10, 35, 3, 10, 30, 0.1, 10, 35}',
		'{0.3689, 0.1170, 0.2673, 0.4699, 0.4387, 0.7470, 0.1091, 0.8732, 0.5547, 0.0381, 0.5743, 0.8828}')
$$;

CREATE FUNCTION hartmann6(config jsonb, resource int) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
	SELECT functions_bench.hartmann(functions_bench.coordinates(config, 6), resource / 81.0,
		'{10, 3, 17, 3.5, 1.7, 8, 0.05, 10, 17, 0.1, 8, 14, 3, 3.5, 1.7, 10, 17, 8, 17, 8, 0.05, 10, 0.1, 14}',
		'{0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886, 0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991,
		  0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650, 0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381}')
$$;

CREATE FUNCTION branin(config jsonb, resource int) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
	SELECT (x2 - (5.1 / (4 * pi() ^ 2) - 0.01 * (1 - z)) * x1 ^ 2 + (5 / pi() - 0.1 * (1 - z)) * x1 - 6) ^ 2
		+ 10 * (1 - (1 / (8 * pi()) + 0.05 * (1 - z))) * cos(x1) + 10
	FROM (SELECT (config ->> 'x1')::float8, (config ->> 'x2')::float8, resource / 81.0::float8) AS v(x1, x2, z)
$$;

-- Minus the ones among eight categories and the means of 9 resource draws each of Bernoulli(x_j), j = 9..16.
-- Draws come from a hash of the configuration: a trial that goes on keeps those it has.
CREATE FUNCTION counting_ones(config jsonb, resource int) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
	SELECT -(SELECT sum((config ->> ('x' || j))::float8) FROM generate_series(1, 8) j)
		- (SELECT count(*) FROM generate_series(9, 16) j, generate_series(1, 9 * resource) k
			WHERE (hashtextextended((config ->> ('x' || j)) || '/' || j, k) & 1073741823) / 1073741824.0 < (config ->> ('x' || j))::float8) / (9.0 * resource)
$$;

CREATE FUNCTION box(d int, low float8, high float8) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_object_agg('x' || j, jsonb_build_object('type', 'float', 'low', low, 'high', high)) FROM generate_series(1, d) j
$$;

-- What a configuration is worth in the end: without noise, at z = 1, above the function's minimum.
CREATE FUNCTION regret(function text, config jsonb) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE function
		WHEN 'hartmann3' THEN functions_bench.hartmann3(config, 81) + 3.86278
		WHEN 'hartmann6' THEN functions_bench.hartmann6(config, 81) + 3.32237
		WHEN 'branin' THEN functions_bench.branin(config, 81) - 0.397887
		ELSE 16 - (SELECT sum(value::float8) FROM jsonb_each_text(config)) END
$$;

CREATE TABLE problem (function text PRIMARY KEY, space jsonb NOT NULL);
INSERT INTO problem VALUES
	('hartmann3', box(3, 0, 1)), ('hartmann6', box(6, 0, 1)),
	('branin', '{"x1": {"type": "float", "low": -5, "high": 10}, "x2": {"type": "float", "low": 0, "high": 15}}'),
	('counting_ones', (SELECT jsonb_object_agg('x' || j, CASE WHEN j <= 8 THEN '{"type": "categorical", "choices": [0, 1]}'::jsonb
		ELSE '{"type": "float", "low": 0, "high": 1}' END) FROM generate_series(1, 16) j));

-- The formulas at their published minima.
DO $$
BEGIN
	ASSERT abs(regret('hartmann3', '{"x1": 0.114614, "x2": 0.555649, "x3": 0.852547}')) < 1e-5, 'hartmann3';
	ASSERT abs(regret('hartmann6', '{"x1": 0.20169, "x2": 0.150011, "x3": 0.476874, "x4": 0.275332, "x5": 0.311652, "x6": 0.6573}')) < 1e-4, 'hartmann6';
	ASSERT abs(regret('branin', '{"x1": 3.14159265, "x2": 2.275}')) < 1e-5, 'branin';
	ASSERT counting_ones((SELECT jsonb_object_agg('x' || j, 1) FROM generate_series(1, 16) j), 3) = -16, 'counting_ones';
END $$;

CREATE TABLE run (function text, sampler text, scheduler text, seed int, study bigint, trials int, spent float8, regret float8);

CREATE PROCEDURE replay(seeds int, samplers text[]) LANGUAGE plpgsql AS $$
DECLARE
	p record;
	ended text;
BEGIN
	FOR p IN SELECT * FROM functions_bench.problem, unnest(samplers) AS sampler, generate_series(1, seeds) AS seed LOOP
		-- About as much resource for each: one plan, 17 full trainings.
		INSERT INTO functions_bench.run
			SELECT p.function, p.sampler, scheduler, p.seed, hyperband_minimize(format('functions_bench.%I(jsonb, int)', p.function)::regprocedure,
				p.space, p.sampler, scheduler, n_trials => n, seed => p.seed)
			FROM (VALUES ('full', 17), ('halving', 375), ('hyperband', 128), ('asha', 300)) AS v(scheduler, n);
		COMMIT;
		FOR ended IN SELECT hyperband_wait(study, '10 minutes') FROM functions_bench.run WHERE trials IS NULL LOOP
			ASSERT ended = 'done', format('%s x %s: a study is %s', p.function, p.sampler, ended);
		END LOOP;
		UPDATE functions_bench.run r SET trials = (SELECT count(*) FROM hyperband.trial t WHERE t.study_id = r.study), spent = s.resource_spent / 81.0,
			regret = functions_bench.regret(r.function, t.config)
			FROM hyperband.study s JOIN hyperband.trial t ON t.trial_id = s.best_trial_id WHERE s.study_id = r.study AND r.trials IS NULL;
		PERFORM hyperband_drop(study) FROM functions_bench.run WHERE (function, sampler, seed) = (p.function, p.sampler, p.seed);
		COMMIT;
	END LOOP;
END $$;
