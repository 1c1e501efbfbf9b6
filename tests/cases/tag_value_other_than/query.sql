WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN NOT (c0."value" = 'gold') THEN 1 ELSE 0 END AS m0
  FROM users AS u
  LEFT JOIN "members of tier" AS c0 ON c0.user_id = u."#user_id"
  WHERE NOT (c0."value" = 'gold')
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
