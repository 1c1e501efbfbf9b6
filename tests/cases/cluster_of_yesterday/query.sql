WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN c0."user_id" IS NOT NULL THEN 1 ELSE 0 END + CASE WHEN c1."user_id" IS NULL THEN 2 ELSE 0 END AS m0
  FROM users AS u
  LEFT JOIN "members of whales" AS c0 ON c0.user_id = u."#user_id"
  LEFT JOIN "members of whales 2026-07-14" AS c1 ON c1.user_id = u."#user_id"
  WHERE c0."user_id" IS NOT NULL OR c1."user_id" IS NULL
)
SELECT user_id
FROM masks
WHERE ((m0 & 1) <> 0 AND (m0 & 2) <> 0)
