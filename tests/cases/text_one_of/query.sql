WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN u."city" IN ('上海', 'beijing', 'O''Hare') THEN 1 ELSE 0 END AS m0
  FROM users AS u
  WHERE u."city" IN ('上海', 'beijing', 'O''Hare')
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
