WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN c0."value" = 'gold' THEN 1 ELSE 0 END + CASE WHEN NOT (contains(c1."value", 'gold')) THEN 2 ELSE 0 END AS m0
  FROM users AS u
  LEFT JOIN "members of tier" AS c0 ON c0.user_id = u."#user_id"
  LEFT JOIN "members of tier 2026-07-14" AS c1 ON c1.user_id = u."#user_id"
  WHERE c0."value" = 'gold' OR NOT (contains(c1."value", 'gold'))
)
SELECT user_id
FROM masks
WHERE ((m0 & 1) <> 0 AND (m0 & 2) <> 0)
