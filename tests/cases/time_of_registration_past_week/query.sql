WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN (u."registered" >= TIMESTAMP '2026-07-07 16:00:00.000000' AND u."registered" < TIMESTAMP '2026-07-14 16:00:00.000000') THEN 1 ELSE 0 END AS m0
  FROM users AS u
  WHERE (u."registered" >= TIMESTAMP '2026-07-07 16:00:00.000000' AND u."registered" < TIMESTAMP '2026-07-14 16:00:00.000000')
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
