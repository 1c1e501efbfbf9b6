WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN c0."value" IN ('gold', 'bronze') THEN 1 ELSE 0 END AS m0
  FROM users AS u
  LEFT JOIN "members of tier" AS c0 ON c0.user_id = u."#user_id"
  WHERE c0."value" IN ('gold', 'bronze')
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
