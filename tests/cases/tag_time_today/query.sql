WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN (c0."value" >= TIMESTAMP '2026-07-14 16:00:00.000000' AND c0."value" < TIMESTAMP '2026-07-15 16:00:00.000000') THEN 1 ELSE 0 END + CASE WHEN c0."value" IS NOT NULL THEN 2 ELSE 0 END AS m0
  FROM users AS u
  LEFT JOIN "members of last_seen" AS c0 ON c0.user_id = u."#user_id"
  WHERE (c0."value" >= TIMESTAMP '2026-07-14 16:00:00.000000' AND c0."value" < TIMESTAMP '2026-07-15 16:00:00.000000') OR c0."value" IS NOT NULL
)
SELECT user_id
FROM masks
WHERE ((m0 & 1) <> 0 AND (m0 & 2) <> 0)
