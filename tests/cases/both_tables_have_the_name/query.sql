WITH masks AS (
  SELECT e."#user_id" AS user_id, 1 AS m0
  FROM events AS e
  JOIN users AS u ON u."#user_id" = e."#user_id"
  WHERE e."#event_name" = 'login'
    AND (e."level" = 'gold' AND u."level" < 5)
  GROUP BY e."#user_id"
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
  AND user_id IN (SELECT "#user_id" FROM users)
