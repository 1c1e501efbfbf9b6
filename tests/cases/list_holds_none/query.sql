WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN NOT (list_has_any(u."tags", ['sports', 'a%'])) THEN 1 ELSE 0 END AS m0
  FROM users AS u
  WHERE NOT (list_has_any(u."tags", ['sports', 'a%']))
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
