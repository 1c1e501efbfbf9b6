WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN c0."user_id" IS NOT NULL THEN 1 ELSE 0 END + CASE WHEN c1."user_id" IS NULL THEN 2 ELSE 0 END + CASE WHEN c2."value" IN ('gold', 'silver') THEN 4 ELSE 0 END + CASE WHEN c2."value" IS NULL THEN 8 ELSE 0 END AS m0
  FROM users AS u
  LEFT JOIN "members of whales" AS c0 ON c0.user_id = u."#user_id"
  LEFT JOIN "members of whales 2026-07-14" AS c1 ON c1.user_id = u."#user_id"
  LEFT JOIN "members of tier" AS c2 ON c2.user_id = u."#user_id"
  WHERE c0."user_id" IS NOT NULL OR c1."user_id" IS NULL OR c2."value" IN ('gold', 'silver') OR c2."value" IS NULL
)
SELECT user_id, CASE WHEN ((m0 & 1) <> 0 AND (m0 & 2) <> 0) THEN 'new whale' WHEN (m0 & 4) <> 0 THEN 'gold or silver' WHEN (m0 & 8) <> 0 THEN 'no tier' END AS value
FROM masks
WHERE (((m0 & 1) <> 0 AND (m0 & 2) <> 0) OR (m0 & 4) <> 0 OR (m0 & 8) <> 0)
